// Curves over steps or seconds, drawn by dygraphs. Zoom by dragging, double click shows all; the part that is zoomed
// into is fetched again at full resolution.

import {colorOf, dashOf, element, formatCount, formatNumber, getJson, swatch} from './common.js';

// dygraphs' own legend writes labels as HTML and sets style attributes, which the page's policy refuses.
const {Dygraph} = window;
Dygraph.PLUGINS = Dygraph.PLUGINS.filter((plugin) => plugin !== Dygraph.Plugins.Legend);

const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

// Charts that share their x axis: what one zooms to, all show.
export class ChartGroup {
  constructor(state, runName) {
    this.state = state;
    this.runName = runName;
    this.charts = [];
    this.window = null;  // [from, to] on the x axis, or all
  }

  add(chart) {
    this.charts.push(chart);
    return chart;
  }

  zoom(range) {
    this.window = range;
    for (const chart of this.charts) chart.load();
  }

  load() {
    return Promise.all(this.charts.map((chart) => chart.load()));
  }

  destroy() {
    for (const chart of this.charts) chart.destroy();
    this.charts = [];
  }
}

export class Chart {
  // sources: [{metric, dashed, name}], each drawn for every selected run.
  constructor(group, title, sources, {remove = null, log = null} = {}) {
    Object.assign(this, {group, title, sources, log});
    this.curves = [];
    this.request = 0;
    this.canvas = element('div', {className: 'canvas'});
    this.tip = element('div', {className: 'tip', hidden: true});
    this.message = element('p', {className: 'note'});
    const head = element('div', {className: 'chart-head'}, element('h2', {}, title),
        remove && element('button', {type: 'button', className: 'quiet', ariaLabel: `Remove ${title}`, onclick: remove}, '×'));
    this.element = element('figure', {className: 'chart'}, head,
        element('div', {className: 'plot'}, this.canvas, this.tip), this.message);
  }

  async load() {
    const {state, window} = this.group;
    const request = ++this.request;
    const parameters = {run: state.selected, axis: state.axis, smooth: state.smooth || null,
                        points: Math.round(Math.max(300, Math.min(1500, this.canvas.clientWidth || 600))),
                        from: window?.[0], to: window?.[1]};
    try {
      const answers = await Promise.all(this.sources.map((source) => getJson('/api/curves', {...parameters, metric: source.metric})));
      if (request !== this.request) return;  // a later one is on its way
      this.curves = answers.flatMap((answer, i) => answer.curves.map((curve) => ({...curve, source: this.sources[i]})))
          .filter((curve) => curve.x.length > 0);
      this.draw();
    } catch (error) {
      if (request === this.request) this.message.textContent = `Cannot show this: ${error.message}`;
    }
  }

  // One series for each line: the raw values, faint beside smoothed ones.
  series() {
    const list = [];
    for (const curve of this.curves) {
      const slot = this.group.state.slot(curve.run);
      const pattern = curve.source.dashed ? [5, 4] : dashOf(slot);
      const common = {slot, curve, pattern, points: curve.x.length <= 60};
      if (curve.smooth) list.push({...common, data: curve, color: colorOf(slot) + '40', width: 1, points: false});
      list.push({...common, data: curve.smooth ?? curve, color: colorOf(slot), width: 1.7});
    }
    return list;
  }

  draw() {
    const list = this.series();
    this.tip.hidden = true;
    this.message.textContent = list.length === 0 ? this.emptyText() : this.protocolText();
    this.canvas.hidden = list.length === 0;
    if (list.length === 0) return;
    const options = this.options(list);
    if (this.graph) this.graph.updateOptions(options);
    else this.graph = new Dygraph(this.canvas, options.file, options);
    this.canvas.setAttribute('role', 'img');
    this.canvas.setAttribute('aria-label', this.description());
  }

  emptyText() {
    return this.group.state.selected.length === 0 ? 'Select runs to see their curves.' : 'The selected runs have not recorded this.';
  }

  // Scores of different protocols must not be compared.
  protocolText() {
    const protocols = [...new Set(this.curves.map((curve) => curve.protocol).filter(Boolean))];
    if (protocols.length > 1) return `Different protocols, not comparable: ${protocols.join('; ')}`;
    return protocols.length === 1 ? `Protocol ${protocols[0]}` : '';
  }

  description() {
    const last = this.curves.map((curve) => `${this.group.runName(curve.run)} ${curve.source.name ?? ''} ${formatNumber(curve.y.at(-1))}`);
    return `${this.title} over ${this.group.state.axis}; last values: ${last.join(', ')}`;
  }

  options(list) {
    const labels = ['x', ...list.map((_, i) => `s${i}`)];  // never names from files: dygraphs puts labels into HTML
    const series = Object.fromEntries(list.map((line, i) => [`s${i}`, {
      color: line.color, strokeWidth: line.width, strokePattern: line.pattern, drawPoints: line.points, pointSize: 2.5}]));
    const isLog = this.log ?? this.group.state.log;
    return {
      file: table(list.map((line) => line.data)), labels, series, logscale: isLog, connectSeparatedPoints: true,
      dateWindow: this.group.window, gridLineColor: css('--line'), axisLineColor: css('--line'), axisLabelFontSize: 12,
      highlightCircleSize: 0, digitsAfterDecimal: 4, xRangePad: 4, yRangePad: 8,
      axes: {x: {axisLabelFormatter: (value) => formatCount(value) + (this.group.state.axis === 'seconds' ? ' s' : ''), drawGrid: false, pixelsPerLabel: 80},
             y: {axisLabelFormatter: (value) => formatNumber(value), axisLabelWidth: 58, pixelsPerLabel: 34}},
      zoomCallback: () => this.zoomed(),
      highlightCallback: (event, x) => this.showTip(event, x),
      unhighlightCallback: () => { this.tip.hidden = true; },
    };
  }

  zoomed() {
    if (!this.graph.isZoomed('x')) this.group.zoom(null);
    else this.group.zoom(this.graph.xAxisRange());
  }

  showTip(event, x) {
    const rows = this.curves.map((curve) => {
      const line = curve.smooth ?? curve;
      const i = nearest(line.x, x);
      return {curve, x: line.x[i], y: line.y[i]};
    }).filter((row) => row.y !== undefined).sort((a, b) => (b.y ?? -Infinity) - (a.y ?? -Infinity));
    const unit = this.group.state.axis === 'seconds' ? ' s' : '';
    this.tip.replaceChildren(
        element('div', {className: 'soft'}, `${this.group.state.axis === 'step' ? 'step ' : ''}${formatCount(Math.round(x * 100) / 100)}${unit}`),
        ...rows.slice(0, 12).map(({curve, y}) => element('div', {}, swatch(this.group.state.slot(curve.run)),
            element('b', {}, formatNumber(y, 4)), ` ${this.group.runName(curve.run)}${curve.source.name ? ' ' + curve.source.name : ''}`)));
    this.tip.hidden = false;
    this.tip.classList.toggle('left', event.offsetX > this.canvas.clientWidth / 2);
  }

  destroy() {
    ++this.request;
    this.graph?.destroy();
    this.graph = null;
  }
}

function nearest(xs, x) {
  let low = 0, high = xs.length - 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (xs[middle] < x) low = middle + 1;
    else high = middle;
  }
  return low > 0 && x - xs[low - 1] < xs[low] - x ? low - 1 : low;
}

// Rows [x, value of each curve]: null where a curve has no point (the line goes on), NaN where it was not finite (a gap).
function table(curves) {
  const xs = [...new Set(curves.flatMap((curve) => curve.x))].sort((a, b) => a - b);
  const rows = new Map(xs.map((x) => [x, [x, ...curves.map(() => null)]]));
  curves.forEach((curve, column) => curve.x.forEach((x, i) => { rows.get(x)[column + 1] = curve.y[i] ?? NaN; }));
  return [...rows.values()];
}
