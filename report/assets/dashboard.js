// The page: its state, which the address keeps, its parts, and news from the server.

import {element, getJson, swatch, throttled} from './common.js';
import {ConfigPanel, CurvesPanel, LipschitzPanel, LogPanel, SamplesPanel} from './panels.js';
import {RunList} from './runs.js';

const tabs = {curves: CurvesPanel, samples: SamplesPanel, lipschitz: LipschitzPanel, config: ConfigPanel, log: LogPanel};

class State {
  constructor() {
    const hash = new URLSearchParams(location.hash.slice(1));
    const all = (name) => hash.getAll(name);
    this.selected = all('run');
    this.tab = hash.get('tab') in tabs ? hash.get('tab') : 'curves';
    this.metrics = hash.has('metric') ? all('metric') : null;  // null: what the runs have of the usual ones
    this.axis = hash.get('axis') === 'seconds' ? 'seconds' : 'step';
    this.log = hash.get('log') === '1';
    this.smooth = Math.min(0.99, Math.max(0, Number(hash.get('smooth')) || 0));
    this.step = hash.has('step') ? Number(hash.get('step')) : null;
    this.reals = hash.get('reals') !== '0';
    this.allKeys = false;
    this.query = hash.get('query') ?? '';
    this.status = hash.get('status') ?? '';
    this.sort = ['newest', 'name', 'step', 'loss', 'score', 'left'].includes(hash.get('sort')) ? hash.get('sort') : 'newest';
    this.slots = new Map();
  }

  get hash() {
    const hash = new URLSearchParams();
    for (const run of this.selected) hash.append('run', run);
    hash.set('tab', this.tab);
    for (const metric of this.metrics ?? []) hash.append('metric', metric);
    if (this.axis !== 'step') hash.set('axis', this.axis);
    if (this.log) hash.set('log', '1');
    if (this.smooth) hash.set('smooth', this.smooth);
    if (this.step !== null) hash.set('step', this.step);
    if (!this.reals) hash.set('reals', '0');
    if (this.query) hash.set('query', this.query);
    if (this.status) hash.set('status', this.status);
    if (this.sort !== 'newest') hash.set('sort', this.sort);
    return `#${hash}`;
  }

  // A run keeps its color while it is selected.
  slot(run) {
    for (const known of this.slots.keys()) if (!this.selected.includes(known)) this.slots.delete(known);
    for (const each of this.selected) if (!this.slots.has(each)) this.slots.set(each, this.freeSlot());
    return this.slots.get(run) ?? 0;
  }

  freeSlot() {
    const used = new Set(this.slots.values());
    let slot = 0;
    while (used.has(slot)) ++slot;
    return slot;
  }
}

class Page {
  constructor() {
    this.state = new State();
    this.runName = (id) => this.nameOf(id);
    this.remember = () => history.replaceState(null, '', this.state.hash);
    this.panels = Object.fromEntries(Object.entries(tabs).map(([name, Panel]) => [name, new Panel(this)]));
    this.list = new RunList(this.state, (selection) => this.selectionChanged(selection));
    this.refreshPanel = throttled(() => this.guard(this.shown?.refresh()), 900);
    this.fetchRuns = throttled(() => this.guard(this.loadRuns()), 300);
    this.instance = '';
    this.version = 0;
    this.connectTabs();
    this.connectSidebar();
  }

  async start() {
    await this.loadRuns();
    if (this.state.selected.length === 0) this.state.selected = this.firstSelection();
    this.list.render();
    this.renderLegend();
    this.showTab(this.state.tab);
    this.listen();
    setInterval(() => this.tick(), 5000);
    // Colors of canvases do not follow the style sheet by themselves.
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => this.showTab(this.state.tab));
    window.addEventListener('hashchange', () => location.reload());
  }

  // What trains now, else the newest run.
  firstSelection() {
    const runs = [...this.list.runs.values()].sort((a, b) => (Date.parse(b.start) || 0) - (Date.parse(a.start) || 0));
    const live = runs.filter((run) => run.status === 'running').slice(0, 6);
    return (live.length ? live : runs.slice(0, 1)).map((run) => run.id);
  }

  nameOf(id) {
    const run = this.list.runs.get(id);
    if (!run) return id;
    const isShared = this.state.selected.some((other) => other !== id && this.list.runs.get(other)?.folder === run.folder);
    return isShared ? id : run.folder;
  }

  async loadRuns() {
    const answer = await getJson('/api/runs', {since: this.version, instance: this.instance});
    const isFirst = this.version === 0;
    this.version = answer.version;
    this.instance = answer.instance;
    document.getElementById('root').textContent = answer.root;
    const changed = this.list.update(answer);
    const gone = this.state.selected.filter((id) => !this.list.runs.has(id));
    if (gone.length) {
      this.state.selected = this.state.selected.filter((id) => this.list.runs.has(id));
      if (!isFirst) this.list.select(this.state.selected);
    } else if (!isFirst && changed.some((id) => this.state.selected.includes(id))) {
      this.refreshPanel();
    }
  }

  selectionChanged(selection) {
    this.remember();
    if (!selection) return;
    this.renderLegend();
    this.refreshPanel();
  }

  renderLegend() {
    const entries = this.state.selected.map((id) => element('button', {type: 'button', className: 'entry', title: `Deselect ${id}`, onclick: () => this.list.toggle(id)},
        swatch(this.state.slot(id)), element('span', {className: 'name'}, this.runName(id)), element('span', {ariaHidden: 'true', className: 'soft'}, '×')));
    document.getElementById('legend').replaceChildren(...entries);
    document.getElementById('toggle-runs').textContent = `Runs (${this.state.selected.length})`;
  }

  connectTabs() {
    const names = Object.keys(tabs);
    document.getElementById('tabs').addEventListener('keydown', (event) => {
      const move = {ArrowRight: 1, ArrowLeft: -1}[event.key];
      if (!move) return;
      const name = names[(names.indexOf(this.state.tab) + move + names.length) % names.length];
      this.showTab(name);
      document.getElementById(`tab-${name}`).focus();
    });
    for (const name of names) document.getElementById(`tab-${name}`).addEventListener('click', () => this.showTab(name));
  }

  showTab(name) {
    this.shown?.hide?.();
    this.shown = this.panels[name];
    this.state.tab = name;
    this.remember();
    for (const each of Object.keys(tabs)) {
      const tab = document.getElementById(`tab-${each}`);
      tab.setAttribute('aria-selected', String(each === name));
      tab.tabIndex = each === name ? 0 : -1;
    }
    const panel = document.getElementById('panel');
    panel.setAttribute('aria-labelledby', `tab-${name}`);
    this.guard(this.shown.show(panel));
  }

  connectSidebar() {
    const button = document.getElementById('toggle-runs'), sidebar = document.getElementById('sidebar');
    const set = (isOpen) => {
      sidebar.classList.toggle('closed', !isOpen);
      button.setAttribute('aria-expanded', String(isOpen));
    };
    set(!matchMedia('(max-width: 900px)').matches || this.state.selected.length === 0);
    button.addEventListener('click', () => set(sidebar.classList.contains('closed')));
  }

  // News come as server-sent events. Where the server refuses another stream, the page asks every three seconds.
  listen() {
    const events = new EventSource('/api/events');
    events.addEventListener('version', () => { this.connection('live'); this.fetchRuns(); });
    events.addEventListener('error', () => {
      this.connection('offline');
      if (events.readyState !== EventSource.CLOSED) return;  // it tries again by itself
      setInterval(() => this.guard(this.loadRuns().then(() => this.connection('polling'))), 3000);
    });
  }

  connection(kind) {
    const box = document.getElementById('connection');
    box.className = kind;
    box.textContent = {live: 'live', polling: 'live, every 3 s', offline: 'server not reached'}[kind];
  }

  // Times left and the like go on between the server's news.
  tick() {
    document.title = this.title();
  }

  title() {
    const running = [...this.list.runs.values()].filter((run) => run.status === 'running').length;
    return `${running ? `(${running} running) ` : ''}Runs · spectral-gan`;
  }

  // A request that fails shows in the panel, unless the server is gone, which the corner of the page says.
  guard(promise) {
    Promise.resolve(promise).catch((error) => {
      if (error instanceof TypeError && error.message.includes('fetch')) return this.connection('offline');
      console.warn(error);
      document.getElementById('panel').prepend(element('p', {className: 'note error', role: 'alert'}, error.message));
    });
  }
}

new Page().start();
