/* The live classifier: the trained network of model.js answers while the reader types. */
"use strict";

window.CompanionPage.figures["live-classifier"] = function (root) {
  const C = window.Companion, { chart, element, fixed, frame, labelled, scrolling, select, table, tinted, whole } = window.CompanionPage;
  const EXAMPLES = [
    "Shares rose after the bank raised its profit forecast",
    "The striker scored twice and the coach praised the team",
    "Ministers face questions over the election campaign",
    "New phones and faster broadband for mobile users",
    "The actress won an Oscar for her role in the film",
    "Whisk the eggs with sugar, then fold in the flour",
  ];
  // So many words are shown one by one; in a text with more than LONGEST none is left out, which would take too long.
  const SHOWN = 80, LONGEST = 300;
  const model = new C.Classifier(window.CompanionModel);
  const { controls, picture } = frame(root, "Type some news, in English");
  root.querySelector(".interactive-status").remove();

  const text = element("textarea", { rows: 3, maxlength: 20000, spellcheck: "false", autocomplete: "off" });
  text.value = EXAMPLES[0];
  const line = labelled("text", text);
  line.classList.add("wide");
  controls.append(line);
  const example = select(controls, "or an example", EXAMPLES, () => { text.value = example.value; answer(); });
  example.parentElement.classList.add("wide");

  const status = element("p", { role: "status", class: "interactive-status" });
  const bars = element("div", {}), words = element("div", {}), inside = element("div", {});
  picture.append(status, bars, words, inside);

  /* Which numbers of the network are shown: fixed controls, so that typing does not take them away. */
  const looks = element("div", { class: "interactive-controls" });
  const directions = ["forward, from the first word", "backward, from the last word"].slice(0, model.layers[0].length);
  const direction = select(looks, "direction", directions, showInside);
  const units = ["mean of all units", ...Array.from({ length: model.settings.hidden_size }, (_, unit) => `unit ${unit + 1}`)];
  const unit = select(looks, "unit", units, showInside);
  const strips = { "memory c": "memory", "state h": "hidden", "input gate i": "input", "forget gate f": "forget", "output gate o": "output" };
  const strip = select(looks, "picture", Object.keys(strips), showInside);
  const gates = element("div", {}), heat = element("div", {});
  inside.append(element("p", { class: "interactive-title" }, "Inside the LSTM"), looks, gates, heat);

  let read = null, waiting = 0;
  text.addEventListener("input", () => { clearTimeout(waiting); waiting = setTimeout(answer, 120); });

  function answer() {
    clearTimeout(waiting);
    const { tokens, ids } = model.encode(text.value);
    if (!ids.length) {
      read = null;
      status.textContent = "There is no letter, digit or emoji to read.";
      for (const part of [bars, words, gates, heat]) part.replaceChildren();
      inside.hidden = true;
      return;
    }
    inside.hidden = false;
    const { probabilities, steps } = model.classify(ids);
    const best = probabilities.indexOf(Math.max(...probabilities));
    read = { tokens, ids, probabilities, steps, best, effects: [] };
    const unknown = ids.filter((id) => id === 1).length;
    status.textContent = `${model.labels[best]}, with probability ${fixed(probabilities[best], 3)}. ` +
      `${ids.length} ${ids.length === 1 ? "word" : "words"}, ${unknown} unknown.`;
    showProbabilities();
    showWords();
    showInside();
    leaveOut(read, 0);
  }

  function showProbabilities() {
    const rows = read.probabilities.map((value, place) => {
      const bar = element("span", { class: "bar" }, element("span", { class: "fill first" }), element("span", { class: "number" }, fixed(value, 3)));
      bar.firstChild.style.width = `${(100 * value).toFixed(1)}%`;
      return [model.labels[place], bar];
    });
    bars.replaceChildren(table("Probability of each class", ["class", "probability"], rows));
  }

  function showWords() {
    const list = element("ol", { class: "interactive-words", "aria-label": "The words as the network gets them" });
    read.tokens.slice(0, SHOWN).forEach((token, place) => {
      const isUnknown = read.ids[place] === 1;
      const item = element("li", { class: isUnknown ? "word unknown" : "word" }, element("span", { class: "name" }, token));
      item.append(element("span", { class: "what" }, isUnknown ? "unknown" : ""), element("span", { class: "effect" }, "…"));
      list.append(item);
    });
    const more = read.tokens.length - SHOWN;
    const note = "Below each word: how far the probability of the answer falls without it. An unknown word is one that the network has no vector for; all of them look alike to it." +
      (more > 0 ? ` ${whole(more)} more ${more === 1 ? "word is" : "words are"} read and not shown.` : "") +
      (read.ids.length > LONGEST ? ` In a text of more than ${LONGEST} words no word is left out.` : "");
    words.replaceChildren(element("p", { class: "interactive-title" }, "The words, as the network gets them"), list, element("p", { class: "interactive-note" }, note));
  }

  // Leave out one word after the other, for as long as nothing else happens, so that typing stays smooth.
  function leaveOut(of, place) {
    if (of !== read) return;
    const until = performance.now() + 12, items = words.querySelectorAll("li");
    while (place < items.length && performance.now() < until) {
      const effect = of.ids.length > LONGEST ? null : model.effect(of.ids, place, of.best, of.probabilities[of.best]);
      of.effects.push(effect);
      const cell = effect === null ? element("span", {}, "—") : tinted(effect, 0.5, 3);
      items[place].lastChild.replaceChildren(cell);
      place += 1;
    }
    root.dataset.done = place === items.length ? "yes" : "no";
    if (place < items.length) setTimeout(() => leaveOut(of, place));
  }

  function showInside() {
    if (!read) return;
    const steps = read.steps[directions.indexOf(direction.value)].slice(0, SHOWN), chosen = units.indexOf(unit.value) - 1;
    const value = (step, name) => chosen < 0 ? step[name].reduce((sum, each) => sum + each, 0) / step[name].length : step[name][chosen];
    const rows = steps.map((step, place) => [read.tokens[place], ...["input", "forget", "output", "memory"].map((name) => tinted(value(step, name)))]);
    const caption = `First layer, ${direction.value}: ${unit.value}`;
    gates.replaceChildren(scrolling(caption, table(caption, ["word", "input gate", "forget gate", "output gate", "memory c"], rows)));
    showHeat(steps, strips[strip.value]);
  }

  // The red, green and blue of a colour of the style sheet, which the dark page has lighter.
  function colour(name) {
    const value = getComputedStyle(root).getPropertyValue(name).trim();
    return [1, 3, 5].map((start) => parseInt(value.slice(start, start + 2), 16));
  }
  new MutationObserver(showInside).observe(document.documentElement, { attributes: true, attributeFilter: ["data-theme"] });

  // A picture with a column a word and a row a unit: orange below 0, blue above.
  function showHeat(steps, name) {
    const size = model.settings.hidden_size, canvas = element("canvas", { width: steps.length, height: size, role: "img" });
    canvas.setAttribute("aria-label", `${strip.value} of all ${size} units, a column for each of ${steps.length} words, a row for each unit; the table above has the numbers.`);
    const context = canvas.getContext("2d"), image = context.createImageData(steps.length, size);
    const most = Math.max(...steps.map((step) => Math.max(...step[name].map(Math.abs)))) || 1;
    const above = colour("--first"), below = colour("--second");
    steps.forEach((step, column) => step[name].forEach((value, row) => {
      const shade = [...(value < 0 ? below : above), Math.round(255 * Math.abs(value) / most)];
      image.data.set(shade, 4 * (row * steps.length + column));
    }));
    context.putImageData(image, 0, 0);
    heat.replaceChildren(canvas, element("p", { class: "interactive-note" },
      `${strip.value}, all ${size} units (rows) after each word (columns, left to right). Blue is above 0, orange below; the strongest colour is ${fixed(most, 2)}.`));
  }

  answer();
};

window.CompanionPage.start();
