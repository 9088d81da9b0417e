/* The interactive figures: controls, drawing and words. The arithmetic is in companion.js.
   A figure stands in <div class="interactive" data-figure="NAME">; what it starts from, if anything,
   is JSON in it. Every control is a native input with a label, and what changes is said in words
   in a status line, so that a keyboard and a screen reader are enough. */
"use strict";

window.CompanionPage = (function () {
  const C = window.Companion;
  const SVG = "http://www.w3.org/2000/svg";
  let ids = 0;

  /* ---- elements ---- */

  function element(tag, attributes = {}, ...children) {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    made.append(...children);
    return made;
  }

  function shape(tag, attributes, text) {
    const made = document.createElementNS(SVG, tag);
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    if (text !== undefined) made.textContent = text;
    return made;
  }

  /* ---- numbers in words ---- */

  const minus = (text) => text.replace(/^-/, "−").replace("e-", "e−").replace("e+", "e");
  const fixed = (value, digits = 2) => minus((Number(value.toFixed(digits)) + 0).toFixed(digits));
  // Four digits that count, as Python's format .4g.
  function short(value, digits = 4) {
    if (value === 0) return "0";
    const rounded = Number(value.toPrecision(digits)), size = Math.abs(rounded);
    return minus(size >= 10 ** digits || size < 1e-4 ? Number(rounded).toExponential() : String(rounded));
  }
  const whole = (value) => minus(Math.round(value).toLocaleString("en-US"));

  /* ---- controls: each a label and a native input; read its value with .value ---- */

  function labelled(name, input) {
    input.id = `interactive-${++ids}`;
    const label = element("label", { for: input.id }, name);
    return element("div", { class: "interactive-control" }, label, input);
  }

  function slider(box, name, { min, max, step, value, show = String }, changed) {
    const input = element("input", { type: "range", min, max, step, value });
    const said = element("span", { class: "interactive-value", "aria-hidden": "true" });
    const control = {
      get value() { return Number(input.value); },
      set value(wanted) { input.value = wanted; tell(); },
    };
    function tell() {
      said.textContent = show(control.value);
      input.setAttribute("aria-valuetext", said.textContent);
    }
    input.addEventListener("input", () => { tell(); changed(); });
    tell();
    const line = labelled(name, input);
    line.append(said);
    box.append(line);
    return control;
  }

  function select(box, name, options, changed) {
    const input = element("select", {}, ...options.map((option) => element("option", { value: option }, option)));
    input.addEventListener("input", changed);
    box.append(labelled(name, input));
    return input;
  }

  function number(box, name, { min, max, value, step = 1 }, changed) {
    const input = element("input", { type: "number", min, max, value, step, inputmode: step === 1 ? "numeric" : "decimal" });
    const round = (wanted) => (step === 1 ? Math.round(wanted) : wanted);
    input.addEventListener("input", changed);
    box.append(labelled(name, input));
    return {
      get value() { return Math.min(max, Math.max(min, round(Number(input.value)) || min)); },
      set value(wanted) { input.value = wanted; },
    };
  }

  /* ---- a chart on two axes ---- */

  const WIDTH = 360, LEFT = 58, RIGHT = 18, TOP = 12, BOTTOM = 38;

  // An axis is {min, max, label, log, ticks}.
  function place(axis, from, to) {
    const turn = axis.log ? Math.log10 : (value) => value;
    const low = turn(axis.min), high = turn(axis.max);
    return (value) => {
      const share = (turn(Math.max(value, axis.log ? 1e-300 : -Infinity)) - low) / (high - low);
      return from + (to - from) * Math.min(2, Math.max(-1, share));
    };
  }

  function ticks(axis) {
    if (axis.ticks) return axis.ticks;
    if (axis.log) {
      const first = Math.ceil(Math.log10(axis.min)), last = Math.floor(Math.log10(axis.max));
      const step = Math.ceil((last - first + 1) / 6);
      return Array.from({ length: Math.floor((last - first) / step) + 1 }, (_, k) => 10 ** (last - k * step));
    }
    const rough = (axis.max - axis.min) / 4, power = 10 ** Math.floor(Math.log10(rough));
    const step = [1, 2, 5, 10].map((size) => size * power).find((size) => size >= rough);
    const found = [];
    for (let k = Math.ceil(axis.min / step - 1e-9); k * step <= axis.max + 1e-9 * step; k++) found.push(k * step);
    return found;
  }

  function tickText(value, axis) {
    if (!axis.log) return short(value, 3);
    const power = Math.round(Math.log10(value));
    if (Math.abs(power) < 4) return String(value);
    return `1e${minus(String(power))}`;
  }

  function chart(x, y, height = 220) {
    const svg = shape("svg", { viewBox: `0 0 ${WIDTH} ${height}`, role: "img", class: "interactive-chart" });
    const toX = place(x, LEFT, WIDTH - RIGHT), toY = place(y, height - BOTTOM, TOP);
    const clip = `interactive-clip-${++ids}`;
    const area = { x: LEFT, y: TOP, width: WIDTH - LEFT - RIGHT, height: height - TOP - BOTTOM };
    const hole = shape("clipPath", { id: clip });
    hole.append(shape("rect", area));
    svg.append(hole);
    for (const value of ticks(y)) {
      svg.append(shape("line", { class: "grid", x1: LEFT, x2: WIDTH - RIGHT, y1: toY(value), y2: toY(value) }));
      svg.append(shape("text", { x: LEFT - 4, y: toY(value) + 4, "text-anchor": "end" }, (y.show || tickText)(value, y)));
    }
    const down = x.stagger ? 14 : 0;
    ticks(x).forEach((value, count) => {
      const at = { x: toX(value), y: height - BOTTOM + 14 + (count % 2 ? down : 0), "text-anchor": "middle" };
      svg.append(shape("text", at, (x.show || tickText)(value, x)));
    });
    svg.append(shape("text", { x: (LEFT + WIDTH - RIGHT) / 2, y: height - 5, "text-anchor": "middle" }, x.label));
    svg.append(shape("text", {
      x: -(TOP + height - BOTTOM) / 2, y: 12, transform: "rotate(-90)", "text-anchor": "middle",
    }, y.label));
    const inside = shape("g", { "clip-path": `url(#${clip})` });
    const over = shape("g", {});
    svg.append(inside, over);
    return {
      svg, toX, toY,
      line(points, kind) {
        const path = points.map(([a, b]) => `${toX(a).toFixed(2)},${toY(b).toFixed(2)}`).join(" ");
        inside.append(shape("polyline", { points: path, class: kind }));
      },
      dot([a, b], kind = "dot", radius = 4) {
        inside.append(shape("circle", { cx: toX(a), cy: toY(b), r: radius, class: kind }));
      },
      band(from, to) {
        inside.append(shape("rect", { x: toX(from), width: toX(to) - toX(from), y: area.y, height: area.height, class: "band" }));
      },
      upright(value, kind = "mark") {
        inside.append(shape("line", { x1: toX(value), x2: toX(value), y1: area.y, y2: area.y + area.height, class: kind }));
      },
      text([a, b], words, anchor = "start", shift = [0, 0]) {
        over.append(shape("text", { x: toX(a) + shift[0], y: toY(b) + shift[1], "text-anchor": anchor, class: "said" }, words));
      },
    };
  }

  const range = (count, from = 0) => Array.from({ length: count }, (_, k) => from + k);
  const grid = (low, high, count) => range(count + 1).map((k) => low + (high - low) * k / count);

  /* ---- a figure: title, controls, picture, words ---- */

  function frame(root, title) {
    const controls = element("div", { class: "interactive-controls" });
    const picture = element("div", { class: "interactive-picture" });
    const status = element("p", { role: "status", class: "interactive-status" });
    const after = element("p", { class: "interactive-after" });
    root.append(element("p", { class: "interactive-title" }, title), controls, picture, status, after);
    return {
      controls, picture, after,
      // Show the picture, and say what it shows.
      show(words, ...parts) {
        status.textContent = words;
        picture.replaceChildren(...parts);
        for (const part of parts) if (part.getAttribute("role") === "img") part.setAttribute("aria-label", `${title}. ${words}`);
      },
    };
  }

  function table(caption, head, rows) {
    const cells = (tag, row, first) => row.map((cell, column) =>
      column === 0 && first ? element("th", { scope: "row" }, cell) : element(tag, tag === "th" ? { scope: "col" } : {}, cell));
    return element("table", { class: "interactive-table" },
      element("caption", {}, caption),
      element("thead", {}, element("tr", {}, ...cells("th", head))),
      element("tbody", {}, ...rows.map((row) => element("tr", {}, ...cells("td", row, true)))));
  }

  /* A table that may be wider than a phone scrolls by itself, and by the keyboard. */
  function scrolling(name, content) {
    return element("div", { class: "interactive-scroll", role: "region", tabindex: "0", "aria-label": name }, content);
  }

  // A number on a tint: orange below 0, blue above, as strong as it is large.
  function tinted(value, most = 1, digits = 2) {
    const share = Math.min(1, Math.abs(value) / most);
    const cell = element("span", { class: `tint ${value < 0 ? "below" : "above"}` }, fixed(value, digits));
    cell.style.setProperty("--strength", `${Math.round(45 * share)}%`);
    return cell;
  }

  const figures = {};

  figures["gradient-descent"] = function (root) {
    const { controls, show } = frame(root, "Try it: one learning rate, one steepness");
    const rate = slider(controls, "learning rate α", { min: 0.001, max: 0.03, step: 0.001, value: 0.01, show: (v) => v.toFixed(3) }, draw);
    const squares = slider(controls, "steepness Σx²", { min: 10, max: 300, step: 10, value: 150 }, draw);
    const count = slider(controls, "steps", { min: 1, max: 20, step: 1, value: 6 }, draw);
    const start = 1, best = 2;
    function draw() {
      const curvature = squares.value, product = rate.value * curvature;
      const weights = C.descend(start, best, curvature, rate.value, count.value);
      const reach = 1.15 * Math.max(...weights.map((weight) => Math.abs(weight - best)));
      const loss = (weight) => curvature * (weight - best) ** 2 / 2;
      const plot = chart({ min: best - reach, max: best + reach, label: "weight" }, { min: 0, max: loss(best + reach), label: "loss" });
      plot.upright(best);
      plot.line(grid(best - reach, best + reach, 80).map((weight) => [weight, loss(weight)]), "quiet");
      plot.line(weights.map((weight) => [weight, loss(weight)]), "first");
      weights.forEach((weight, step) => plot.dot([weight, loss(weight)], step ? "dot first" : "dot second", step ? 3.5 : 5));
      const first = weights.slice(0, 5).map((weight) => short(weight)).join(", ");
      show(`α · Σx² = ${short(product)}, so each step multiplies the error by ${short(1 - product)}: ${C.regime(rate.value, curvature)}. ` +
        `Weights: ${first}${weights.length > 5 ? ", …" : ""}. After ${count.value} ${count.value === 1 ? "step" : "steps"}: ${short(weights[weights.length - 1])}; the best weight is 2.`, plot.svg);
    }
    draw();
  };

  figures["activations"] = function (root) {
    const { controls, show } = frame(root, "Try it: a function and its slope at one place");
    const chosen = select(controls, "function", Object.keys(C.ACTIVATIONS), draw);
    const input = slider(controls, "input x", { min: -5, max: 5, step: 0.1, value: 1.4, show: (v) => fixed(v, 1) }, draw);
    function draw() {
      const { value, slope } = C.ACTIVATIONS[chosen.value], x = input.value;
      const plot = chart({ min: -5, max: 5, label: "input" }, { min: -1.25, max: 2.25, label: "output", ticks: [-1, 0, 1, 2] });
      const xs = grid(-5, 5, 200);
      plot.line(xs.map((at) => [at, slope(at)]), "second dashed");
      plot.line(xs.map((at) => [at, value(at)]), "first");
      plot.line([x - 1.2, x + 1.2].map((at) => [at, value(x) + slope(x) * (at - x)]), "third");
      plot.dot([x, slope(x)], "dot second");
      plot.dot([x, value(x)], "dot first", 5);
      show(`${chosen.value}(${fixed(x, 1)}) = ${fixed(value(x), 4)} (solid line); slope ${fixed(slope(x), 4)} (dashed line).`, plot.svg);
    }
    draw();
  };

  figures["gate-attention"] = function (root) {
    const { controls, show } = frame(root, "Try it: three tokens, scored");
    const scores = [1.4, 1.0, 1.7].map((value, token) =>
      slider(controls, `score of token ${token + 1}`, { min: -4, max: 6, step: 0.1, value, show: (v) => fixed(v, 1) }, draw));
    function draw() {
      const values = scores.map((score) => score.value);
      const gates = values.map(C.sigmoid), shares = C.softmax(values);
      const sum = (list) => list.reduce((total, value) => total + value, 0);
      const bar = (value, kind) => {
        const made = element("span", { class: "bar" }, element("span", { class: `fill ${kind}` }), element("span", { class: "number" }, fixed(value, 3)));
        made.firstChild.style.width = `${(100 * value).toFixed(1)}%`;
        return made;
      };
      const rows = values.map((_, token) => [String(token + 1), bar(gates[token], "second"), bar(shares[token], "first")]);
      rows.push(["sum", fixed(sum(gates), 3), fixed(sum(shares), 3)]);
      show(`Gates: ${gates.map((v) => fixed(v, 3)).join(", ")}; their sum is ${fixed(sum(gates), 3)}. ` +
        `Attention: ${shares.map((v) => fixed(v, 3)).join(", ")}; the sum is always 1.`,
      table("Weight of each token", ["token", "gate σ(score)", "softmax of the scores"], rows));
    }
    draw();
  };

  figures["masks"] = function (root) {
    const LENGTH = 5;
    const { controls, show } = frame(root, "Try it: change one token, and see what can move");
    const kinds = {
      "encoder-only": { mask: C.fullMask(LENGTH, LENGTH), from: "token", to: "output" },
      "decoder-only": { mask: C.causalMask(LENGTH), from: "token", to: "output" },
      "encoder-decoder, a target token": { mask: C.causalMask(LENGTH), from: "target token", to: "target output" },
      "encoder-decoder, a source token": { mask: C.fullMask(LENGTH, LENGTH), from: "source token", to: "target output" },
    };
    const kind = select(controls, "architecture", Object.keys(kinds), draw);
    kind.value = "decoder-only";
    const changed = slider(controls, "changed token", { min: 1, max: LENGTH, step: 1, value: 3 }, draw);
    function draw() {
      const { mask, from, to } = kinds[kind.value], column = changed.value - 1;
      const moved = range(LENGTH).filter((row) => mask[row][column]).map((row) => row + 1);
      const head = [`${to} ↓ ${from} →`, ...range(LENGTH, 1).map(String)];
      const made = table("A filled square: the row may look at the column", head, mask.map((row, number) =>
        [`${number + 1}${row[column] ? " moves" : ""}`, ...row.map((may) => (may ? "■" : "·"))]));
      for (const row of made.tBodies[0].rows) row.cells[changed.value].classList.add("chosen");
      const span = moved.length > 1 ? `${to}s ${moved[0]} to ${moved[moved.length - 1]}` : `${to} ${moved[0]}`;
      show(`${from[0].toUpperCase()}${from.slice(1)} ${changed.value} is changed: ${span} can move${moved.length < LENGTH ? ", and no other" : ""}.`, made);
    }
    draw();
  };

  figures["cleaning"] = function (root) {
    const { controls, show } = frame(root, "Try it: a sentence of yours, cleaned four ways");
    const input = element("input", { type: "text", maxlength: 200, value: "The therapist said: oil-rich shares rose 3.5% today.", autocomplete: "off" });
    input.addEventListener("input", draw);
    controls.append(labelled("sentence", input));
    function draw() {
      const ways = C.cleanings(input.value), list = element("dl", { class: "interactive-tokens" });
      for (const [name, tokens] of Object.entries(ways))
        list.append(element("dt", {}, name), element("dd", {}, ...(tokens.length ? tokens.map((token) => element("span", { class: "token" }, token)) : ["nothing"])));
      show(Object.entries(ways).map(([name, tokens]) => `${name}: ${tokens.length}`).join("; ") + " tokens.", list);
    }
    draw();
  };

  figures["padding-amnesia"] = function (root, network) {
    const { controls, show } = frame(root, "Try it: eight texts, and padding behind them");
    const pads = slider(controls, "padding tokens", { min: 0, max: network.pads, step: 1, value: 20 }, draw);
    const bias = slider(controls, "added to the forget gate's bias", { min: 0, max: 5, step: 0.5, value: 0, show: (v) => fixed(v, 1) }, draw);
    const known = new Map();
    function curve() {
      if (!known.has(bias.value)) known.set(bias.value, range(network.pads + 1).map((count) => C.amnesia(network, count, bias.value)));
      return known.get(bias.value);
    }
    function draw() {
      const spreads = curve(), floor = 1e-8, at = pads.value;
      const plot = chart({ min: 0, max: network.pads, label: "padding after the longest text (tokens)" },
        { min: floor, max: 1, log: true, label: "spread of the scores" });
      const line = (way) => spreads.map((spread, count) => [count, Math.max(floor, spread[way])]);
      plot.line(line("last"), "first");
      plot.line(line("after"), "second dashed");
      plot.dot([at, spreads[at].last], "dot first", 5);
      plot.dot([at, Math.max(floor, spreads[at].after)], "dot second", 5);
      show(`With ${at} pads, the scores of the texts differ by ${short(spreads[at].after, 2)} when the state after the padding is read (dashed), ` +
        `and by ${short(spreads[at].last, 2)} when the state at the last word is read (solid).`, plot.svg);
    }
    draw();
  };

  figures["failure-ladder"] = function (root, { rungs, stages }) {
    const { controls, after, show } = frame(root, "Try it: repair, run again, meet the next");
    const repaired = slider(controls, "errors repaired", { min: 0, max: rungs.length, step: 1, value: 0 }, draw);
    const again = element("button", { type: "button" }, "Repair it and run again");
    again.addEventListener("click", () => { repaired.value = repaired.value === rungs.length ? 0 : repaired.value + 1; draw(); });
    controls.append(again);
    function draw() {
      const at = repaired.value, rung = rungs[at];
      const plot = chart({ min: -0.5, max: stages.length - 0.5, label: "", ticks: range(stages.length), stagger: true, show: (k) => stages[k] },
        { min: 0, max: rungs.length + 1, label: "rung", ticks: [1, 5, 9, 13, 17] });
      const places = rungs.map((each, number) => [stages.indexOf(each.stage), number + 1]);
      plot.line(places, "quiet");
      places.forEach((each, number) => plot.dot(each, number < at ? "dot first" : number === at ? "dot second" : "dot empty", number === at ? 6 : 4));
      again.textContent = rung ? "Repair it and run again" : "Start again";
      const words = rung
        ? `${rung.rung}, at the stage “${rung.stage}”: ${rung.name}. ${rung.error}`
        : `All ${rungs.length} errors are repaired, and the program runs. What is wrong now is silent.`;
      const link = rung ? element("a", { href: `#${rung.anchor}` }, `The way out of ${rung.rung}`) : element("a", { href: "#silent-s1" }, "The silent bugs");
      show(words, plot.svg);
      after.replaceChildren(link);
    }
    draw();
  };

  figures["model-size"] = function (root, { systems, transformers, threshold }) {
    const { controls, show } = frame(root, "Try it: how large is this transformer?");
    const own = "your own";
    const preset = select(controls, "architecture", [...Object.keys(transformers), own], choose);
    const inputs = {
      layers: number(controls, "layers", { min: 1, max: 1000, value: 1 }, typed),
      width: number(controls, "width", { min: 1, max: 100000, value: 1 }, typed),
      vocabulary: number(controls, "tokens in the vocabulary", { min: 1, max: 10000000, value: 1 }, typed),
      positions: number(controls, "longest text, in tokens", { min: 0, max: 10000000, value: 1 }, typed),
    };
    const sizes = { "4 bytes (float32)": 4, "2 bytes (bfloat16)": 2, "1 byte (int8)": 1, "half a byte (int4)": 0.5 };
    const size = select(controls, "for each parameter", Object.keys(sizes), draw);
    size.value = "2 bytes (bfloat16)";
    let kind = "gpt";
    function choose() {
      if (preset.value === own) return;
      const chosen = transformers[preset.value];
      Object.keys(inputs).forEach((name, place) => { inputs[name].value = chosen[place]; });
      kind = chosen[4];
      draw();
    }
    function typed() { preset.value = own; draw(); }
    function draw() {
      const values = Object.values(inputs).map((input) => input.value);
      const count = C.transformerParameters(...values, kind);
      const plot = chart({ min: 1e5, max: 1e13, log: true, label: "parameters (log scale)" }, { min: 0, max: 1, label: "", ticks: [] }, 130);
      plot.band(threshold, 1e12);
      for (const parameters of Object.values(systems)) plot.upright(parameters, "mark");
      plot.dot([count, 0.5], "dot second", 7);
      plot.text([threshold, 1], "“large”, says the article", "start", [4, 13]);
      plot.text([count, 0.5], preset.value, count > 1e9 ? "end" : "start", [count > 1e9 ? -11 : 11, 4]);
      const bytes = count * sizes[size.value], unit = bytes >= 1e9 ? [1e9, "GB"] : [1e6, "MB"];
      show(`${whole(count)} parameters: ${count >= threshold ? "large" : "not large"} by the article's definition. ` +
        `${short(bytes / unit[0], 3)} ${unit[1]} of weights, ${short(2 * count, 3)} operations a token. The lines are the systems that the article names.`, plot.svg);
    }
    choose();
  };

  figures["compute"] = function (root, { constants, accelerators, grids_kg_per_kwh: grids }) {
    const { controls, show } = frame(root, "Try it: what does a training run take?");
    const parameters = number(controls, "parameters, in billions", { min: 0.0001, max: 100000, value: 7, step: "any" }, draw);
    const tokens = number(controls, "tokens, in billions", { min: 0.0001, max: 1000000, value: 140, step: "any" }, draw);
    const names = Object.fromEntries(Object.entries(accelerators).map(([key, each]) => [each.name, key]));
    const kind = select(controls, "accelerator", Object.keys(names), draw);
    kind.value = accelerators.h100.name;
    const count = number(controls, "how many of them", { min: 1, max: 1000000, value: 64 }, draw);
    const wide = "all that were reported";
    const grid = select(controls, "electricity", [wide, ...Object.keys(grids)], draw);
    const price = number(controls, "price of an hour of one", { min: 0, max: 1000, value: constants.price_per_hour.value, step: "any" }, draw);
    const big = (value) => (Number.isNaN(value) ? "not known" : value >= 1e7 ? short(value, 2) : value >= 100 ? whole(Number(value.toPrecision(2))) : short(value, 2));
    function draw() {
      const chosen = { price_per_hour: price.value };
      if (grid.value !== wide) chosen.kg_per_kwh = grids[grid.value];
      const sides = C.assumptions(constants, chosen), accelerator = accelerators[names[kind.value]];
      const n = 1e9 * parameters.value, d = 1e9 * tokens.value;
      const costs = ["low", "value", "high"].map((side) => C.trainingCost(n, d, accelerator, count.value, sides[side]));
      const lines = { "operations": "flop", "days": "days", "hours of one accelerator": "hours", "kWh": "kwh", "kg of CO2e": "carbon_kg", "money": "money" };
      const rows = Object.entries(lines).map(([name, key]) => [name, ...costs.map((cost) => big(cost[key]))]);
      const memory = C.trainingMemory(n, accelerator, constants), usual = costs[1];
      show(`${big(usual.flop)} operations: about ${big(usual.days)} days, from ${big(costs[0].days)} to ${big(costs[2].days)}, and ${big(usual.money)} in the currency of your price. ` +
        `Weights and optimiser take ${big(memory.bytes / 1e9)} GB, so at least ${whole(memory.accelerators)} of these accelerators. ` +
        `Twenty tokens a parameter would be ${big(constants.tokens_per_parameter.value * parameters.value)} billion.`,
      scrolling("What the run takes", table("One run that works at the first attempt", ["what", "low", "usual", "high"], rows)));
    }
    draw();
  };

  figures["lstm-gates"] = function (root, { values, writes }) {
    const { controls, show } = frame(root, "Try it: when does it write?");
    const boxes = element("fieldset", {}, element("legend", {}, "write at step"));
    const checks = writes.map((write, step) => {
      const input = element("input", { type: "checkbox" });
      input.checked = write === 1;
      input.addEventListener("input", draw);
      boxes.append(labelled(String(step + 1), input));
      return input;
    });
    controls.append(boxes);
    const sharpness = slider(controls, "sharpness of the gates", { min: 1, max: 20, step: 1, value: 20 }, draw);
    function draw() {
      const steps = C.latch(values, checks.map((check) => Number(check.checked)), sharpness.value);
      const names = { input: "input gate i", forget: "forget gate f", candidate: "candidate g", memory: "memory c", output: "output gate o", hidden: "state h" };
      const rows = [["value in", ...values.map((value) => tinted(value))]];
      for (const [name, title] of Object.entries(names)) rows.push([title, ...steps.map((step) => tinted(step[name][0]))]);
      const made = table("What the unit does at each step", ["step", ...range(values.length, 1).map(String)], rows);
      show(`Memory: ${steps.map((step) => fixed(step.memory[0])).join(", ")}.`, scrolling("What the unit does at each step", made));
    }
    draw();
  };

  figures["lstm-reach"] = function (root) {
    const { controls, show } = frame(root, "Try it: a forget gate that stands still");
    const bias = slider(controls, "bias of the forget gate", { min: -1, max: 6, step: 0.5, value: 0, show: (v) => fixed(v, 1) }, draw);
    function draw() {
      const forget = C.sigmoid(bias.value), floor = 1e-16;
      const plot = chart({ min: 0, max: 60, label: "steps" }, { min: floor, max: 1, log: true, label: "what is left" });
      plot.line([[0, 0.01], [60, 0.01]], "quiet dashed");
      plot.line(range(61).map((step) => [step, Math.max(floor, forget ** step)]), "first");
      show(`The gate is σ(${fixed(bias.value, 1)}) = ${fixed(forget, 3)}. A hundredth of the memory (dashed) is left after ${whole(C.stepsUntil(0.01, forget))} steps, ` +
        `and ${short(forget ** 50, 2)} of it after 50.`, plot.svg);
    }
    draw();
  };

  /* ---- start ---- */

  function start() {
    for (const root of document.querySelectorAll(".interactive[data-figure]")) {
      const figure = figures[root.dataset.figure], data = root.querySelector("script[type='application/json']");
      if (!figure || root.dataset.started) continue;
      root.dataset.started = "yes";
      const fallback = root.querySelector(".interactive-fallback");
      figure(root, data ? JSON.parse(data.textContent) : undefined);
      if (fallback) fallback.remove();
      root.hidden = false;
    }
  }

  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start);
  else setTimeout(start);

  return { chart, element, figures, fixed, frame, labelled, number, range, scrolling, select, short, slider, start, table, tinted, whole };
})();
