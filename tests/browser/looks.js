// What a person would see wrong with a page. Each function returns a list of findings as text, empty if all is well.

const pen = new OffscreenCanvas(1, 1).getContext('2d', {willReadFrequently: true});
const colours = new Map();

// Any CSS colour as [red, green, blue, alpha], 0 to 1.
function rgba(colour) {
  if (!colours.has(colour)) {
    pen.clearRect(0, 0, 1, 1);
    pen.fillStyle = colour;
    pen.fillRect(0, 0, 1, 1);
    colours.set(colour, [...pen.getImageData(0, 0, 1, 1).data].map(value => value / 255));
  }
  return colours.get(colour);
}

function over(front, back) {
  return front.slice(0, 3).map((value, i) => value * front[3] + back[i] * (1 - front[3]));
}

function ancestors(element) {
  return element ? [element, ...ancestors(element.parentElement)] : [];
}

function background(element) {
  const dark = matchMedia('(prefers-color-scheme: dark)').matches;
  const sheet = dark ? [0.07, 0.07, 0.07] : [1, 1, 1];
  return ancestors(element).reduceRight((back, one) => over(rgba(getComputedStyle(one).backgroundColor), back), sheet);
}

// WCAG 2.2, relative luminance and contrast ratio.
function luminance(colour) {
  const [red, green, blue] = colour.map(value => value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4);
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

function contrast(element, colour, opacity = 1) {
  const back = background(element);
  const [red, green, blue, alpha] = rgba(colour);
  const seen = ancestors(element).reduce((all, one) => all * getComputedStyle(one).opacity, alpha * opacity);
  const [light, dark] = [luminance(over([red, green, blue, seen], back)), luminance(back)].sort((a, b) => b - a);
  return (light + 0.05) / (dark + 0.05);
}

function isShown(element) {
  return element.checkVisibility({visibilityProperty: true}) && element.getClientRects().length > 0;
}

function textElements() {
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const found = new Set();
  while (walker.nextNode()) {
    if (walker.currentNode.data.trim()) found.add(walker.currentNode.parentElement);
  }
  return [...found].filter(element => isShown(element) && !element.closest('[disabled], script, style'));
}

// Text below 4.5 : 1, or 3 : 1 if large. Unlike axe-core's rule it judges SVG and cells that are scrolled out too.
function faintText() {
  return textElements().flatMap(element => {
    const style = getComputedStyle(element);
    const size = parseFloat(style.fontSize);
    const large = size >= 24 || (size >= 18.66 && style.fontWeight >= 700);
    const ratio = contrast(element, element instanceof SVGElement ? style.fill : style.color);
    return ratio >= (large ? 3 : 4.5) - 0.005 ? [] : [`${ratio.toFixed(2)} : 1: ${element.textContent.trim()}`];
  });
}

// A chart's curves below 3 : 1, WCAG's bound for graphics. Single runs behind their mean are faint on purpose, for the
// mean and its band say the same.
function faintLines() {
  return [...document.querySelectorAll('svg.chart :not(.faint) > path.line')].filter(isShown).flatMap(line => {
    const style = getComputedStyle(line);
    const ratio = contrast(line, style.stroke, style.strokeOpacity);
    return ratio >= 2.995 ? [] : [`${ratio.toFixed(2)} : 1: ${line.parentElement.outerHTML.slice(0, 80)}`];
  });
}

// Texts of a chart that lie on one another or leave it. A pixel of touch is not seen: boxes are higher than letters.
function crowdedText() {
  const seen = 1;
  return [...document.querySelectorAll('svg')].filter(isShown).flatMap(chart => {
    const frame = chart.getBoundingClientRect();
    const texts = [...chart.querySelectorAll('text')].map(text => [text.textContent, text.getBoundingClientRect()]);
    const meet = (a, b) => Math.min(a.right, b.right) - Math.max(a.left, b.left) > seen &&
      Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > seen;
    const outside = texts.filter(([, box]) => box.left < frame.left - seen || box.right > frame.right + seen ||
      box.top < frame.top - seen || box.bottom > frame.bottom + seen).map(([text]) => `leaves the chart: ${text}`);
    return outside.concat(texts.flatMap(([text, box], i) => texts.slice(i + 1)
      .filter(([, other]) => meet(box, other)).map(([other]) => `overlap: ${text} | ${other}`)));
  });
}

// Elements that make the page itself scroll sideways; what a box of its own scrolls does no harm.
function tooWide() {
  const root = document.documentElement;
  if (Math.max(root.scrollWidth, document.body.scrollWidth) <= root.clientWidth) return [];
  const wide = [...document.body.querySelectorAll('*')].filter(
    element => element.getBoundingClientRect().right > root.clientWidth + 0.5);
  return [`${root.scrollWidth} of ${root.clientWidth} px`, ...wide.map(element => element.outerHTML.slice(0, 100))];
}

// How many curves each chart of the section draws: lines that are longer than a legend's swatch.
function curves(selector) {
  return [...document.querySelectorAll(`${selector} svg.chart`)].map(chart =>
    [...chart.querySelectorAll('path.line')].filter(line => {
      const style = getComputedStyle(line);
      return isShown(line) && style.stroke !== 'none' && line.getBBox().width > chart.viewBox.baseVal.width / 3;
    }).length);
}

// How many pixels of each canvas box show each colour, give or take what smoothing of edges does to thin lines.
function inkOf(selector, colours) {
  const near = (data, i, colour) =>
    data[i + 3] > 128 && colour.every((value, j) => Math.abs(value * 255 - data[i + j]) < 24);
  const count = (canvas, colour) => {
    const copy = new OffscreenCanvas(canvas.width, canvas.height).getContext('2d', {willReadFrequently: true});
    copy.drawImage(canvas, 0, 0);
    const {data} = copy.getImageData(0, 0, canvas.width, canvas.height);
    let pixels = 0;
    for (let i = 0; i < data.length; i += 4) pixels += near(data, i, colour);
    return pixels;
  };
  return [...document.querySelectorAll(selector)].map(box => colours.map(colour =>
    [...box.querySelectorAll('canvas')].reduce((sum, canvas) => sum + count(canvas, rgba(colour).slice(0, 3)), 0)));
}

// Pictures that did not load, and values that a script failed to find.
function broken() {
  const images = [...document.images].filter(image => !image.naturalWidth);
  const texts = textElements().filter(element => /\b(undefined|\[object Object\])/.test(element.textContent));
  return images.map(image => `broken image: ${image.alt}`)
    .concat(texts.map(element => `says ${element.textContent.slice(0, 80)}`));
}
