"""A model of one's own: it answers how bright the frames are."""

from videre import Answer


class Brightness:
    name = "brightness"
    card = {"id": "brightness", "revision": "1"}  # noqa: RUF012

    def answer(self, frames, question):
        light = [float(picture.mean()) for chunk in frames for picture in chunk.pixels]
        return Answer("brighter" if light[-1] > light[0] else "darker", confidence=abs(light[-1] - light[0]) / 255)


def make():
    return Brightness()
