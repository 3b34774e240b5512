"use strict";
(() => {
  const $ = (q, from) => (from || document).querySelector(q);
  const all = (q, from) => Array.from((from || document).querySelectorAll(q));

  // The data as a file.
  const button = $("#download");
  button.hidden = false;
  button.addEventListener("click", () => {
    const url = URL.createObjectURL(new Blob([$("#data").textContent], {type: "application/json"}));
    const a = document.createElement("a");
    a.href = url;
    a.download = "netdoctor.json";
    a.click();
    setTimeout(() => URL.revokeObjectURL(url), 1000);
  });

  // The map: the scene is moved and scaled inside the picture.
  const stage = $("#stage"), svg = $("svg", stage), scene = $(".scene", svg);
  $(".tools").hidden = false;
  const full = svg.viewBox.baseVal.height, size = {w: svg.viewBox.baseVal.width, h: full};
  let at = {x: 0, y: 0, k: 1};
  const show = () => scene.setAttribute("transform", `translate(${at.x} ${at.y}) scale(${at.k})`);
  // whole shows all; else a map that is higher than the stage begins at its top.
  const fit = whole => {
    const most = Math.min(window.innerHeight * 0.75, 760), wide = stage.clientWidth || 1200;
    const h = whole ? size.h : Math.min(size.h, size.w * most / wide);
    svg.setAttribute("viewBox", `0 0 ${size.w} ${h}`);
    svg.setAttribute("height", h); // the shape of the box
    svg.setAttribute("preserveAspectRatio", "xMidYMin meet");
    at = {x: 0, y: 0, k: 1};
    show();
  };
  const point = e => {
    const p = new DOMPoint(e.clientX, e.clientY).matrixTransform(svg.getScreenCTM().inverse());
    return {x: p.x, y: p.y};
  };
  const zoom = (f, p) => {
    const k = Math.min(8, Math.max(0.2, at.k * f));
    p = p || {x: size.w / 2, y: size.h / 2};
    at.x = p.x - (p.x - at.x) * k / at.k;
    at.y = p.y - (p.y - at.y) * k / at.k;
    at.k = k;
    show();
  };
  stage.addEventListener("wheel", e => {
    if (!e.ctrlKey && !e.shiftKey && document.activeElement !== stage) return; // the page scrolls
    e.preventDefault();
    zoom(e.deltaY < 0 ? 1.15 : 1 / 1.15, point(e));
  }, {passive: false});
  let drag = null, moved = false;
  stage.addEventListener("pointerdown", e => { drag = point(e); moved = false; });
  window.addEventListener("pointerup", () => { drag = null; });
  stage.addEventListener("pointermove", e => {
    if (!drag) return;
    const p = point(e);
    if (Math.abs(p.x - drag.x) + Math.abs(p.y - drag.y) > 3) moved = true;
    at.x += p.x - drag.x;
    at.y += p.y - drag.y;
    drag = p;
    show();
  });
  stage.addEventListener("keydown", e => {
    const step = 60, move = {ArrowLeft: [step, 0], ArrowRight: [-step, 0], ArrowUp: [0, step], ArrowDown: [0, -step]}[e.key];
    if (move) { at.x += move[0]; at.y += move[1]; show(); } else if (e.key === "+" || e.key === "=") zoom(1.25); else if (e.key === "-") zoom(0.8); else if (e.key === "0") fit(true); else return;
    e.preventDefault();
  });

  // Networks fold; what stands below moves up, and the wires with it.
  const groups = all(".group", scene), head = 34;
  const host = $('[data-id="host"] rect', scene);
  const folded = new Set();
  const place = () => {
    let shift = 0;
    groups.forEach((g, i) => {
      const y = +g.dataset.y, h = +g.dataset.h, fold = folded.has(i);
      g.setAttribute("transform", `translate(20 ${y - shift})`);
      $(":scope > rect", g).setAttribute("height", fold ? head : h);
      $(".members", g).classList.toggle("hidden", fold);
      $(".head", g).setAttribute("aria-expanded", String(!fold));
      const wire = $(`.wire[data-group="${i}"]`, scene);
      if (wire && host) {
        const m = +host.getAttribute("y") + +host.getAttribute("height") / 2, hx = +host.getAttribute("x"), gx = 20 + +$(":scope > rect", g).getAttribute("width"), wy = y - shift + 17;
        wire.setAttribute("d", `M${gx} ${wy}C${gx + 65} ${wy} ${hx - 65} ${m} ${hx} ${m}`);
      }
      if (fold) shift += h - head;
    });
    size.h = Math.max(full - shift, Math.min(full, 330));
    // The path is drawn where things stand unfolded: hidden when one above moved.
    const last = groups.reduce((k, g, i) => g.matches(".on") || $(".on", g) ? i : k, -1);
    const off = groups.some((_, i) => i <= last && folded.has(i));
    all(".path,.end", svg).forEach(p => p.classList.toggle("hidden", off));
  };
  groups.forEach((g, i) => {
    const h = $(".head", g);
    h.setAttribute("tabindex", "0");
    h.setAttribute("role", "button");
    const turn = () => { if (moved) return; folded.has(i) ? folded.delete(i) : folded.add(i); place(); };
    h.addEventListener("click", turn);
    h.addEventListener("keydown", e => { if (e.key === "Enter" || e.key === " ") { e.preventDefault(); e.stopPropagation(); moved = false; turn(); } });
  });
  all("[data-map]").forEach(b => b.addEventListener("click", () => {
    const what = b.dataset.map;
    if (what === "in") zoom(1.25); else if (what === "out") zoom(0.8); else if (what === "fit") fit(true); else {
      const fold = folded.size < groups.length;
      groups.forEach((_, i) => fold ? folded.add(i) : folded.delete(i));
      b.textContent = fold ? "expand networks" : "collapse networks";
      place();
    }
  }));
  // Large networks are folded at first, unless something is to be seen in them.
  if (all(".chip", scene).length > 60) groups.forEach((g, i) => { if (all(".chip", g).length > 12 && !$(".error,.warning,.on,.broken", g)) folded.add(i); });
  place();
  fit();

  // One filter for everything that has a name.
  const filter = $("#filter");
  filter.hidden = false;
  filter.addEventListener("input", () => {
    const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
    const hit = t => words.every(w => t.includes(w));
    all("[data-find]").forEach(e => { e.hidden = !hit(e.dataset.find); });
    all(".chip", scene).forEach(c => c.classList.toggle("faded", !hit(c.dataset.name)));
  });
  document.addEventListener("keydown", e => {
    if (e.key === "/" && !/^(INPUT|TEXTAREA)$/.test(document.activeElement.tagName)) { e.preventDefault(); filter.focus(); }
    if (e.key === "Escape" && document.activeElement === filter) { filter.value = ""; filter.dispatchEvent(new Event("input")); filter.blur(); }
  });
  // Paper shows all.
  window.addEventListener("beforeprint", () => all("details").forEach(d => { d.dataset.was = d.open ? "1" : ""; d.open = true; }));
  window.addEventListener("afterprint", () => all("details").forEach(d => { d.open = d.dataset.was === "1"; }));
  document.documentElement.dataset.ready = "1";
})();
