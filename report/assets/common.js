// What all parts of the dashboard share: building elements, asking the server, and numbers as text.

// Builds an element. Everything that comes from files is a child or a property, so it shows as text: innerHTML is
// used nowhere.
export function element(tag, properties = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.startsWith('aria')) node.setAttribute(`aria-${name.slice(4).toLowerCase()}`, value);
    else if (name in node) node[name] = value;
    else node.setAttribute(name, value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

export async function getJson(path, parameters = {}) {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters)) {
    for (const each of [value].flat()) if (each !== null && each !== undefined) query.append(name, each);
  }
  const response = await fetch(`${path}?${query}`);
  if (!response.ok) throw new Error((await response.text()).trim());
  return response.json();
}

// Runs `work` at most once in `pause` ms, and once more after the last call.
export function throttled(work, pause) {
  let timer = 0, last = 0;
  return () => {
    clearTimeout(timer);
    timer = setTimeout(() => { last = Date.now(); work(); }, Math.max(0, last + pause - Date.now()));
  };
}

// Made once: making a formatter takes longer than a thousand numbers.
const grouped = new Intl.NumberFormat('en', {maximumSignificantDigits: 12});
const clock = new Intl.DateTimeFormat([], {hour: '2-digit', minute: '2-digit', hourCycle: 'h23'});
const day = new Intl.DateTimeFormat([], {month: 'short', day: 'numeric'});

// null is a value that was recorded but not finite; undefined one that was not recorded.
export function formatNumber(value, digits = 3) {
  if (value === undefined) return '–';
  if (value === null || Number.isNaN(value)) return 'NaN';
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-3 || size >= 1e6)) return value.toExponential(digits - 1).replace('-', '−');
  return grouped.format(Number(value.toPrecision(Math.max(digits, Math.ceil(Math.log10(size + 1)))))).replace('-', '−');
}

export const formatCount = (value) => (value === undefined ? '–' : grouped.format(value));

export function formatDuration(seconds) {
  if (seconds < 60) return `${Math.max(1, Math.round(seconds))} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  if (seconds < 172800) return `${(seconds / 3600).toFixed(1)} h`;
  return `${(seconds / 86400).toFixed(1)} days`;
}

export function formatTime(iso) {
  const time = new Date(iso);
  if (Number.isNaN(time.getTime())) return '';
  const isToday = time.toDateString() === new Date().toDateString();
  return `${isToday ? '' : `${day.format(time)} `}${clock.format(time)}`;
}

export const palette = 8;
// Colors repeat after eight runs; dashes tell the second and third eight apart.
export const dashes = [null, [7, 3], [2, 3]];
export const colorOf = (slot) => getComputedStyle(document.documentElement).getPropertyValue(`--run${slot % palette}`).trim();
export const dashOf = (slot) => dashes[Math.floor(slot / palette) % dashes.length];

export function swatch(slot) {
  return element('span', {className: `swatch run${slot % palette} dash${Math.floor(slot / palette) % dashes.length}`,
                          ariaHidden: 'true'});
}

export function note(text) {
  return element('p', {className: 'note'}, text);
}
