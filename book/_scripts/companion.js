/* The arithmetic behind the interactive figures and the live classifier: no page, no other file.
   Beside each function stands the function of the package that it equals; tests/book/test_interactive.py
   holds the two together in a browser. A classic script, so that it also runs from file://. */
"use strict";

window.Companion = (function () {
  /* ---- text: companion.classifier.text and companion.classifier.listing ---- */

  const SPACELESS = "\\p{Script=Han}\\p{Script=Hiragana}\\p{Script=Katakana}";
  const TOKEN = new RegExp(
    `[${SPACELESS}]|\\p{Emoji_Presentation}|(?:(?![${SPACELESS}])[\\p{L}\\p{M}\\p{N}])+`, "gu");
  const MARKS = /(\p{M}{30})\p{M}+/gu;
  const ASCII = /^[\x00-\x7f]*$/;
  const SHORT = 1000;

  // text.tokenize
  function tokenize(text) {
    if (!ASCII.test(text) && Array.from(text).length > SHORT) text = text.replace(MARKS, "$1");
    return text.normalize("NFKC").toLowerCase().match(TOKEN) || [];
  }

  const SPACE = /[\t-\r\x1c-\x20\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+/;
  const LISTED_PUNCTUATION = new Set("!#$%&'()*+,-./:;<=>?@[]^_`{|}~");
  const LISTED_STOP_WORDS = new Set(["a", "an", "and", "are", "but", "is", "or", "the"]);

  // str.split
  const split = (text) => text.split(SPACE).filter((word) => word !== "");

  // listing.remove_stop_words
  const removeStopWords = (text) =>
    split(text).filter((word) => !LISTED_STOP_WORDS.has(word.toLowerCase())).join(" ");

  const withoutPunctuation = (text) =>
    Array.from(text).filter((character) => !LISTED_PUNCTUATION.has(character));

  // listing.spell_out
  const spellOut = (text) => removeStopWords(withoutPunctuation(text).join(" "));

  // listing.glue
  const glue = (text) => removeStopWords(withoutPunctuation(text).join(""));

  // listing.cleanings, with the first repair between
  const cleanings = (text) => ({
    "as written": split(text),
    "the listing": split(spellOut(text)),
    "glued": split(glue(text)),
    "corrected": tokenize(text),
  });

  /* ---- activations: companion.mathematics.activations ---- */

  function sigmoid(x) {
    const small = Math.exp(-Math.abs(x));
    return (x >= 0 ? 1 : small) / (1 + small);
  }

  // The error function: its series near 0, and the continued fraction of what is missing to 1 beyond.
  function erf(x) {
    const size = Math.abs(x);
    if (size > 6) return Math.sign(x);
    if (size < 2.5) {
      let term = x, sum = x;
      for (let n = 1; Math.abs(term) > 1e-17 * Math.abs(sum); n++) {
        term *= -x * x / n;
        sum += term / (2 * n + 1);
        if (n > 200) break;
      }
      return 2 / Math.sqrt(Math.PI) * sum;
    }
    let fraction = 0;
    for (let n = 120; n > 0; n--) fraction = n / 2 / (size + fraction);
    const missing = Math.exp(-size * size) / Math.sqrt(Math.PI) / (size + fraction);
    return Math.sign(x) * (1 - missing);
  }

  const normalShare = (x) => (1 + erf(x / Math.SQRT2)) / 2;
  const normalDensity = (x) => Math.exp(-x * x / 2) / Math.sqrt(2 * Math.PI);

  const ACTIVATIONS = {
    "sigmoid": { value: sigmoid, slope: (x) => sigmoid(x) * sigmoid(-x) },
    "tanh": { value: Math.tanh, slope: (x) => 1 - Math.tanh(x) ** 2 },
    "ReLU": { value: (x) => Math.max(0, x), slope: (x) => (x > 0 ? 1 : 0) },
    "GELU": { value: (x) => x * normalShare(x), slope: (x) => normalShare(x) + x * normalDensity(x) },
    "SiLU": { value: (x) => x * sigmoid(x), slope: (x) => sigmoid(x) * (1 + x * sigmoid(-x)) },
  };

  // losses.softmax
  function softmax(scores) {
    const highest = Math.max(...scores);
    const powers = scores.map((score) => Math.exp(score - highest));
    const sum = powers.reduce((total, power) => total + power, 0);
    return powers.map((power) => power / sum);
  }

  /* ---- gradient descent: companion.mathematics.gradient_descent ---- */

  // descend, on the loss ½ · curvature · (w − best)²
  function descend(start, best, curvature, learningRate, steps) {
    const weights = [start];
    for (let step = 0; step < steps; step++) {
      const weight = weights[step];
      weights.push(weight - learningRate * curvature * (weight - best));
    }
    return weights;
  }

  // regime
  function regime(learningRate, curvature) {
    const product = learningRate * curvature;
    const is = (value) => Math.abs(product - value) <= 1e-9 * Math.max(product, value);
    if (is(1)) return "one step";
    if (is(2)) return "for ever";
    if (product < 1) return "monotone";
    return product < 2 ? "oscillates and converges" : "diverges";
  }

  /* ---- masks: companion.concepts.transformer ---- */

  // full_mask
  const fullMask = (queries, keys) =>
    Array.from({ length: queries }, () => new Array(keys).fill(true));

  // causal_mask
  const causalMask = (time) =>
    Array.from({ length: time }, (_, row) => Array.from({ length: time }, (_, column) => column <= row));

  /* ---- LSTM: companion.mathematics.lstm ---- */

  // (rows, columns) · (columns) + start; the matrix is a flat array, row after row.
  function multiply(matrix, vector, start) {
    const columns = vector.length, result = Float64Array.from(start);
    for (let row = 0, place = 0; row < result.length; row++) {
      let sum = result[row];
      for (let column = 0; column < columns; column++) sum += matrix[place++] * vector[column];
      result[row] = sum;
    }
    return result;
  }

  // cell, from the sums of the inputs; torch's order of the gates: input, forget, candidate, output.
  function lstmStep(stateWeights, inputSums, hidden, memory) {
    const size = hidden.length, sums = multiply(stateWeights, hidden, inputSums);
    const step = {};
    for (const name of ["input", "forget", "candidate", "output", "memory", "hidden"])
      step[name] = new Float64Array(size);
    for (let unit = 0; unit < size; unit++) {
      const i = step.input[unit] = sigmoid(sums[unit]);
      const f = step.forget[unit] = sigmoid(sums[size + unit]);
      const g = step.candidate[unit] = Math.tanh(sums[2 * size + unit]);
      const o = step.output[unit] = sigmoid(sums[3 * size + unit]);
      const c = step.memory[unit] = f * memory[unit] + i * g;
      step.hidden[unit] = o * Math.tanh(c);
    }
    return step;
  }

  // forward, from a state of zeros; backwards reads from the end and keeps the order of the words.
  function lstm(stateWeights, inputSums, size, backwards = false) {
    const steps = new Array(inputSums.length);
    let hidden = new Float64Array(size), memory = new Float64Array(size);
    for (let count = 0; count < inputSums.length; count++) {
      const time = backwards ? inputSums.length - 1 - count : count;
      const step = steps[time] = lstmStep(stateWeights, inputSums[time], hidden, memory);
      hidden = step.hidden;
      memory = step.memory;
    }
    return steps;
  }

  // latch, and forward
  function latch(values, writes, sharpness) {
    const s = sharpness, bias = [-s / 2, s / 2, 0, s / 2], input = [0, s, 0, -s, 1, 0, 0, 0];
    const sums = values.map((value, step) => multiply(input, [value, writes[step]], bias));
    return lstm([0, 0, 0, 0], sums, 1);
  }

  // How many steps leave so much of a memory whose forget gate stands still.
  const stepsUntil = (left, forget) => Math.log(left) / Math.log(forget);

  /* ---- sizes: companion.concepts.sizes ---- */

  // transformer_parameters
  function transformerParameters(layers, width, vocabulary, positions, kind = "gpt") {
    const block = 12 * width ** 2 + 13 * width;
    const shared = layers * block + (vocabulary + positions) * width + 2 * width;
    return kind === "gpt" ? shared : shared + 2 * width + width ** 2 + width;
  }

  /* ---- what training takes: companion.questions ---- */

  const ASSUMED = ["utilisation", "power_share", "pue", "kg_per_kwh", "price_per_hour"];

  // constants.assumptions: the cheapest, the usual and the dearest; what is chosen holds in all three.
  function assumptions(constants, chosen = {}) {
    const sides = { low: ["high", "low"], value: ["value", "value"], high: ["low", "high"] };
    const found = {};
    for (const [side, [use, other]] of Object.entries(sides)) {
      found[side] = {};
      for (const name of ASSUMED)
        found[side][name] = chosen[name] ?? constants[name][name === "utilisation" ? use : other];
    }
    return found;
  }

  // compute.training_cost
  function trainingCost(parameters, tokens, accelerator, count, assumed) {
    const flop = 6 * parameters * tokens;
    const seconds = flop / (count * accelerator.flop_per_second * assumed.utilisation);
    const hours = count * seconds / 3600;
    const watts = accelerator.watts === null ? NaN : accelerator.watts * assumed.power_share;
    const kwh = hours * watts * assumed.pue / 1000;
    return { flop, days: seconds / 86400, hours, kwh, carbon_kg: kwh * assumed.kg_per_kwh, money: hours * assumed.price_per_hour };
  }

  // compute.training_memory without activations, and compute.accelerators_needed
  function trainingMemory(parameters, accelerator, constants) {
    const bytes = constants.training_bytes_per_parameter.value * parameters;
    return { bytes, accelerators: Math.max(1, Math.ceil(bytes / (0.9 * accelerator.memory_bytes))) };
  }

  /* ---- the classifier: companion.classifier.model, from a file of export_web ---- */

  function bytes(base64) {
    const text = atob(base64), result = new Uint8Array(text.length);
    for (let place = 0; place < text.length; place++) result[place] = text.charCodeAt(place);
    return result;
  }

  const floats = (base64) => new Float32Array(bytes(base64).buffer);

  // A tensor of the file as 32-bit floats: whole, or an integer of 8 bits times the scale of its row.
  function unpack(tensor) {
    if (!tensor.scales) return floats(tensor.data);
    const integers = new Int8Array(bytes(tensor.data).buffer), scales = floats(tensor.scales);
    const columns = integers.length / scales.length, result = new Float32Array(integers.length);
    for (let place = 0; place < result.length; place++)
      result[place] = integers[place] * scales[Math.floor(place / columns)];
    return result;
  }

  class Classifier {
    constructor(file) {
      this.labels = file.labels;
      this.settings = file.settings;
      this.ids = new Map(file.vocabulary.map((token, id) => [token, id]));
      this.tensors = {};
      for (const name of Object.keys(file.tensors)) this.tensors[name] = unpack(file.tensors[name]);
      const { layers, bidirectional, hidden_size: hidden } = this.settings;
      this.layers = Array.from({ length: layers }, (_, layer) =>
        Array.from({ length: bidirectional ? 2 : 1 }, (_, direction) => {
          const part = (name) => this.tensors[`layers.${layer}.directions.${direction}.${name}_l0`];
          const bias = part("bias_ih").map((value, place) => value + part("bias_hh")[place]);
          return { input: part("weight_ih"), state: part("weight_hh"), bias, hidden, known: new Map() };
        }));
    }

    // encoding.encode, of one text
    encode(text) {
      const tokens = tokenize(text).slice(0, this.settings.maximum_words);
      return { tokens, ids: tokens.map((token) => this.id(token)) };
    }

    id(token) {
      const id = this.ids.get(token);
      return id === undefined ? 1 : id;
    }

    vector(id) {
      const size = this.settings.embedding_size;
      return this.tensors["embedding.weight"].subarray(id * size, (id + 1) * size);
    }

    // What a word adds to the sums of the first layer is the same wherever it stands.
    wordSums(lstmWeights, id) {
      if (!lstmWeights.known.has(id))
        lstmWeights.known.set(id, multiply(lstmWeights.input, this.vector(id), lstmWeights.bias));
      return lstmWeights.known.get(id);
    }

    // The steps of the first layer for each direction, and the states after the last.
    read(ids) {
      const steps = [];
      let states = null;
      this.layers.forEach((directions, number) => {
        const read = directions.map((weights, direction) => {
          const sums = states === null
            ? ids.map((id) => this.wordSums(weights, id))
            : states.map((state) => multiply(weights.input, state, weights.bias));
          return lstm(weights.state, sums, weights.hidden, direction === 1);
        });
        if (number === 0) steps.push(...read);
        states = ids.map((_, time) => concatenate(read.map((direction) => direction[time].hidden)));
      });
      return { steps, states };
    }

    // model.LSTMClassifier, of one document of token ids
    classify(ids) {
      const size = this.settings.window || ids.length;
      const steps = this.layers[0].map(() => []), states = [];
      for (let start = 0; start < ids.length; start += size) {
        const window = this.read(ids.slice(start, start + size));
        window.steps.forEach((read, direction) => steps[direction].push(...read));
        states.push(...window.states);
      }
      const pooled = concatenate(this.settings.pooling.split("+").map((way) => pool(states, way)));
      const logits = multiply(this.tensors["head.weight"], pooled, this.tensors["head.bias"]);
      return { logits: Array.from(logits), probabilities: softmax(Array.from(logits)), steps };
    }

    // How much the probability of a class falls without each word; null where nothing would be left.
    effect(ids, place, label, whole) {
      if (ids.length < 2) return null;
      const without = ids.slice(0, place).concat(ids.slice(place + 1));
      return whole - this.classify(without).probabilities[label];
    }
  }

  function concatenate(parts) {
    const result = new Float64Array(parts.reduce((total, part) => total + part.length, 0));
    let place = 0;
    for (const part of parts) { result.set(part, place); place += part.length; }
    return result;
  }

  // model.pool, of one document
  function pool(states, way) {
    if (way === "last") return states[states.length - 1];
    const result = Float64Array.from(states[0]);
    for (let time = 1; time < states.length; time++)
      for (let unit = 0; unit < result.length; unit++)
        result[unit] = way === "max" ? Math.max(result[unit], states[time][unit]) : result[unit] + states[time][unit];
    return way === "mean" ? result.map((sum) => sum / states.length) : result;
  }

  /* ---- padding amnesia: companion.classifier.listing ---- */

  // listing.padding_amnesia, for one number of pads and a network of companion.interactive
  function amnesia(network, pads, forgetBias) {
    const longest = Math.max(...network.documents.map((document) => document.length));
    const scores = { after: [], last: [] };
    for (const document of network.documents) {
      const ids = document.concat(new Array(longest + pads - document.length).fill(0));
      let states = ids.map((id) => network.embedding[id]);
      for (const layer of network.layers) {
        const size = layer.bias.length / 4;
        const bias = layer.bias.map((value, place) => (place >= size && place < 2 * size ? value + forgetBias : value));
        states = lstm(layer.state.flat(), states.map((state) => multiply(layer.input.flat(), state, bias)), size)
          .map((step) => step.hidden);
      }
      const score = (state) => multiply(network.head, state, [0])[0];
      scores.after.push(score(states[states.length - 1]));
      scores.last.push(score(states[document.length - 1]));
    }
    return { after: deviation(scores.after), last: deviation(scores.last) };
  }

  // The standard deviation of a sample, as torch's std.
  function deviation(values) {
    const mean = values.reduce((total, value) => total + value, 0) / values.length;
    const squares = values.reduce((total, value) => total + (value - mean) ** 2, 0);
    return Math.sqrt(squares / (values.length - 1));
  }

  return {
    ACTIVATIONS, Classifier, amnesia, assumptions, causalMask, cleanings, descend, fullMask, glue, latch, regime,
    sigmoid, softmax, spellOut, stepsUntil, tokenize, trainingCost, trainingMemory,
    transformerParameters,
  };
})();
