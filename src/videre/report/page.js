"use strict";
(() => {
  const AFTER = 0.001; // a seek to the very time of a frame may be rounded to the frame before it
  const HOLD = 0.2, FADE = 0.8; // a box stands for a while around its moment, then fades
  const SNAP_PX = 7;
  const data = JSON.parse(document.getElementById("data").textContent);
  const root = document.documentElement;
  root.classList.add("js");

  const all = (place, what) => [...place.querySelectorAll(what)];
  const pad = (value, width) => String(value).padStart(width, "0");
  const clock = (seconds) => {
    const hundredths = Math.max(0, Math.round(seconds * 100));
    const minutes = Math.floor(hundredths / 6000), hours = Math.floor(minutes / 60);
    const rest = pad(Math.floor(hundredths / 100) % 60, 2) + "." + pad(hundredths % 100, 2);
    return (hours ? hours + ":" : "") + pad(minutes % 60, 2) + ":" + rest;
  };
  const unique = (times) => [...new Set(times)].sort((a, b) => a - b);
  const nearest = (times, t) => times.reduce((a, b) => (Math.abs(b - t) < Math.abs(a - t) ? b : a), times[0]);

  function evidenceOf(section) {
    const row = data.records[Number(section.dataset.record)];
    const frames = row.frames || [], spans = row.spans || [], boxes = row.boxes || [];
    const scored = row.scored ? row.scored.seconds.map((t, i) => [t, row.scored.scores[i]]) : [];
    const own = frames.filter((f) => f.score !== null).map((f) => [f.seconds, f.score]);
    const hue = [...section.classList].find((name) => name.startsWith("hue-"));
    return { row, section, hue, spans, boxes, points: scored.length ? scored : own,
      moments: [...frames.map((f) => f.seconds), ...spans.map((s) => s.start_seconds), ...boxes.map((b) => b.seconds)] };
  }

  function makeCase(article) {
    const find = (what) => article.querySelector(what);
    if (!find(".stage")) return bareCase(article);
    const stage = find(".stage"), overlay = find(".boxes"), still = find(".still"), gone = find(".gone");
    const duration = Number(article.dataset.duration), step = 1 / (Number(article.dataset.fps) || 25);
    const records = all(article, ".record").map(evidenceOf);
    const moments = unique(records.flatMap((record) => record.moments));
    let video = find("video"), playable = Boolean(video), ready = false, wanted = null;
    let offset = 0; // the player's own time of the first displayed frame
    let shown = 0, at = 0, started = false;

    // ---- the player -------------------------------------------------------------------------------------------------
    function start() {
      if (started) return;
      started = true;
      if (!video) return becomeStill();
      video.controls = false;
      const same = video.dataset.sameAs && document.getElementById(video.dataset.sameAs);
      if (same) video.src = same.querySelector("video").src;
      video.addEventListener("error", () => becomeStill("This browser cannot play the video file, or it is no longer there."));
      video.addEventListener("loadedmetadata", () => { fit(); setTimeout(begin, 1500); });
      for (const name of ["seeked", "timeupdate", "pause", "play", "ratechange", "volumechange"]) video.addEventListener(name, refresh);
      video.addEventListener("play", follow);
      if (video.requestVideoFrameCallback) video.requestVideoFrameCallback(presented);
      else video.addEventListener("loadeddata", begin);
      video.preload = "auto";
      video.load();
    }
    function presented(now, frame) {
      if (!ready && video.currentTime === 0) offset = frame.mediaTime;
      shown = frame.mediaTime - offset;
      begin();
      video.requestVideoFrameCallback(presented);
    }
    function begin() {
      if (ready) return;
      ready = true;
      if (wanted !== null) seek(wanted);
      else refresh();
    }
    function becomeStill(why) {
      playable = false;
      if (video) video.hidden = true;
      if (why) { gone.textContent = why; gone.hidden = false; }
      all(article, ".controls [data-do]").forEach((button) => {
        button.disabled = !["previous", "next", "back", "forward"].includes(button.dataset.do);
        button.hidden = button.disabled;
      });
      seek(wanted ?? moments[0] ?? 0);
    }
    function showStill(seconds) {
      const frames = all(article, ".frame").filter((frame) => frame.querySelector("img"));
      if (!frames.length) { still.hidden = true; return; }
      const best = nearest(frames.map((frame) => Number(frame.dataset.seek)), seconds);
      const picture = frames.find((frame) => Number(frame.dataset.seek) === best).querySelector("img");
      still.hidden = false;
      if (still.src !== picture.src) still.src = picture.src;
      still.alt = picture.alt;
    }
    const time = () => (playable ? (ready && wanted === null ? video.currentTime - offset : wanted ?? 0) : at);
    function seek(seconds) {
      at = Math.min(Math.max(0, seconds), duration || seconds);
      if (!playable) { showStill(at); refresh(); return; }
      if (!ready) { wanted = at; refresh(); return; }
      wanted = null;
      video.currentTime = at + offset + AFTER;
      refresh();
    }
    function hop(direction) {
      const now = time();
      if (!playable) return jump(direction);
      video.pause();
      const base = Math.abs(shown - now) < 2 * step ? shown : now;
      seek(direction > 0 ? base + 1.1 * step : base - 0.9 * step);
    }
    function jump(direction) {
      const now = time();
      const later = moments.filter((t) => t > now + 0.02), earlier = moments.filter((t) => t < now - 0.02);
      const next = direction > 0 ? later[0] : earlier[earlier.length - 1];
      if (next !== undefined) seek(next);
    }
    function toggle() {
      if (!playable) return;
      if (video.paused) video.play().catch(() => {});
      else video.pause();
    }
    const rates = [1, 1.5, 2, 0.25, 0.5];
    const actions = {
      play: toggle, back: () => hop(-1), forward: () => hop(1), previous: () => jump(-1), next: () => jump(1),
      rate: () => { video.playbackRate = rates[(rates.indexOf(video.playbackRate) + 1) % rates.length]; },
      mute: () => { video.muted = !video.muted; },
      full: () => (document.fullscreenElement ? document.exitFullscreen() : find(".watch").requestFullscreen()),
    };

    // ---- what follows the time --------------------------------------------------------------------------------------
    function follow() {
      refresh();
      if (!video.paused && !video.ended) requestAnimationFrame(follow);
    }
    function refresh() {
      const now = Math.max(0, time());
      find(".now").textContent = clock(now);
      if (playable) {
        const play = find("[data-do=play]"), rate = find("[data-do=rate]");
        play.querySelector("path").setAttribute("d", video.paused ? "M7 5L19 12L7 19Z" : "M7 5H10V19H7ZM14 5H17V19H14Z");
        rate.textContent = video.playbackRate + "×";
        rate.setAttribute("aria-label", "Speed " + rate.textContent);
        find("[data-do=mute]").setAttribute("aria-pressed", String(video.muted));
      }
      for (const record of records) {
        const line = record.section.querySelector(".line");
        if (!line) continue;
        const x = duration ? (1000 * Math.min(now, duration)) / duration : 0;
        const head = line.querySelector(".head");
        head.setAttribute("x1", x);
        head.setAttribute("x2", x);
        line.setAttribute("aria-valuenow", now.toFixed(2));
        line.setAttribute("aria-valuetext", clock(now));
      }
      mark(now);
      draw(now);
    }
    function mark(now) {
      const set = (element, on) => (on ? element.setAttribute("aria-current", "time") : element.removeAttribute("aria-current"));
      for (const strip of all(article, ".strip")) {
        const frames = all(strip, ".frame"), times = frames.map((frame) => Number(frame.dataset.seek));
        const best = times.length ? nearest(times, now) : 0;
        frames.forEach((frame, i) => set(frame, times[i] === best && Math.abs(best - now) <= Math.max(step, 0.12)));
      }
      for (const chip of all(article, ".chip")) {
        const first = Number(chip.dataset.seek), last = Number(chip.dataset.end ?? first);
        set(chip, now >= first - 0.001 && now <= Math.max(last, first + step));
      }
    }
    function draw(now) {
      const boxes = [];
      for (const record of records) {
        const labels = new Map();
        for (const box of record.boxes) labels.set(box.label, [...(labels.get(box.label) || []), box]);
        for (const same of labels.values()) {
          const best = nearest(same.map((box) => box.seconds), now), far = Math.abs(best - now);
          const opacity = Math.min(1, Math.max(0, 1 - (far - HOLD) / FADE));
          if (opacity > 0) same.filter((box) => box.seconds === best).forEach((box) => boxes.push({ box, opacity, hue: record.hue }));
        }
      }
      while (overlay.children.length > boxes.length) overlay.lastChild.remove();
      boxes.forEach((each, i) => place(overlay.children[i] || newBox(), each));
    }
    function newBox() {
      const element = document.createElement("div");
      element.append(document.createElement("span"));
      overlay.append(element);
      return element;
    }
    function place(element, { box, opacity, hue }) {
      const percent = (value) => 100 * value + "%";
      element.className = "box " + hue + (box.y0 < 0.08 ? " low" : "");
      Object.assign(element.style, { left: percent(box.x0), top: percent(box.y0), opacity,
        width: percent(box.x1 - box.x0), height: percent(box.y1 - box.y0) });
      const sure = typeof box.confidence === "number" ? " " + box.confidence.toFixed(2) : "";
      element.firstChild.textContent = (box.label || "") + sure;
      element.firstChild.hidden = !element.firstChild.textContent;
    }

    // ---- where the picture lies -------------------------------------------------------------------------------------
    function size() {
      if (playable && video.videoWidth) return [video.videoWidth, video.videoHeight];
      const known = [Number(article.dataset.width), Number(article.dataset.height)];
      if (known[0] && known[1]) return known;
      return still.naturalWidth ? [still.naturalWidth, still.naturalHeight] : [16, 9];
    }
    function fit() {
      const [width, height] = size();
      stage.style.aspectRatio = Math.max(width / height, 1.2) + "";
      const scale = Math.min(stage.clientWidth / width, stage.clientHeight / height);
      const w = width * scale, h = height * scale;
      Object.assign(overlay.style, { width: w + "px", height: h + "px",
        left: (stage.clientWidth - w) / 2 + "px", top: (stage.clientHeight - h) / 2 + "px" });
    }
    new ResizeObserver(fit).observe(stage);
    still.addEventListener("load", fit);

    // ---- pointing ---------------------------------------------------------------------------------------------------
    function pointed(line, event, points) {
      const box = line.getBoundingClientRect(), x = event.clientX - box.left;
      const raw = Math.min(duration, Math.max(0, (duration * x) / box.width));
      const times = points.map((point) => point[0]), best = nearest(times, raw);
      return times.length && Math.abs(best - raw) <= (SNAP_PX * duration) / box.width ? best : raw;
    }
    function hoverLine(line, record) {
      const tip = document.createElement("div");
      tip.className = "tip";
      tip.hidden = true;
      tip.setAttribute("aria-hidden", "true");
      document.body.append(tip);
      line.addEventListener("pointermove", (event) => {
        const mark = event.target.closest("[data-seek]");
        const t = mark ? Number(mark.dataset.seek) : pointed(line, event, record.points);
        const point = record.points.find((each) => each[0] === t);
        tip.textContent = clock(t) + (point ? "  score " + Number(point[1].toPrecision(3)) : "");
        tip.hidden = false;
        tip.style.left = event.pageX + "px";
        tip.style.top = line.getBoundingClientRect().top + window.scrollY + 4 + "px";
      });
      line.addEventListener("pointerleave", () => { tip.hidden = true; });
    }
    for (const record of records) {
      const line = record.section.querySelector(".line");
      if (!line) continue;
      hoverLine(line, record);
      line.addEventListener("click", (event) => {
        if (!event.target.closest("[data-seek]")) seek(pointed(line, event, record.points));
      });
    }
    article.addEventListener("click", (event) => {
      const target = event.target.closest("[data-seek], [data-do], [data-save]");
      if (!target) return event.target === video ? toggle() : undefined;
      if (target.dataset.seek !== undefined) seek(Number(target.dataset.seek));
      else if (target.dataset.do) actions[target.dataset.do]();
      else save(target.dataset.save, target.closest(".record"));
    });

    function key(name, onLine) {
      if (name === " ") toggle();
      else if (name === "Home" && onLine) seek(0);
      else if (name === "End" && onLine) seek(duration);
      else if (name === "ArrowLeft") hop(-1);
      else if (name === "ArrowRight") hop(1);
      else if (name === "n") jump(1);
      else if (name === "p") jump(-1);
      else return false;
      return true;
    }
    return { article, start, key, stop: () => video && video.pause(), fit };
  }

  function bareCase(article) {
    article.addEventListener("click", (event) => {
      const target = event.target.closest("[data-save]");
      if (target) save(target.dataset.save, target.closest(".record"));
    });
    const nothing = () => {};
    return { article, start: nothing, key: () => false, stop: nothing, fit: nothing };
  }

  function save(kind, section) {
    const index = Number(section.dataset.record), row = data.records[index];
    const text = kind === "vtt" ? data.vtt[index] : JSON.stringify(row) + "\n";
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([text], { type: kind === "vtt" ? "text/vtt" : "application/json" }));
    link.download = (row.id.replace(/[^\p{L}\p{N}._-]+/gu, "_").slice(0, 80) || "record") + "." + kind;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  }

  const cases = all(document, ".case").map(makeCase);
  let current = null;
  function show() {
    const chosen = cases.find((each) => "#" + each.article.id === location.hash) || current || cases[0];
    if (current && current !== chosen) current.stop();
    for (const each of cases) each.article.classList.toggle("current", each === chosen);
    for (const link of all(document, ".list a")) {
      if (link.hash === "#" + chosen.article.id) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    }
    if (current && current !== chosen) window.scrollTo(0, 0);
    current = chosen;
    current.start();
    current.fit();
  }
  window.addEventListener("hashchange", show);
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const busy = event.target.closest("button, summary, a, input, select, textarea");
    if (event.key === " " && busy) return;
    if (current.key(event.key, event.target.closest("[role=slider]"))) event.preventDefault();
  });
  let folded = [];
  window.addEventListener("beforeprint", () => { folded = all(document, ".panel:not([open])"); folded.forEach((each) => { each.open = true; }); });
  window.addEventListener("afterprint", () => folded.forEach((each) => { each.open = false; }));
  show();
})();
