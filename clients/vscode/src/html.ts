/** Facts as HTML and SVG, every text escaped. Pure: knows nothing of the editor. */

export function escape(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}

/** Any JSON value as nested tables. */
export function table(value: unknown): string {
  if (value === null || value === undefined || value === '') return '';
  if (typeof value === 'number') return Number.isInteger(value) ? String(value) : value.toFixed(1);
  if (typeof value !== 'object') return escape(typeof value === 'string' ? value : JSON.stringify(value));
  if (Array.isArray(value)) return value.length === 0 ? '' : `<ul>${value.map((item) => `<li>${table(item)}</li>`).join('')}</ul>`;
  const rows = Object.entries(value).map(([name, item]) => `<tr><th>${escape(name)}</th><td>${table(item)}</td></tr>`);
  return `<table>${rows.join('')}</table>`;
}

/** Columns under a head; the first cell of each row is its name. */
export function grid(head: string[], rows: string[][]): string {
  const line = ([name = '', ...cells]: string[]): string => `<tr><th>${escape(name)}</th>${cells.map((cell) => `<td>${escape(cell)}</td>`).join('')}</tr>`;
  return `<table><tr>${head.map((name) => `<th>${escape(name)}</th>`).join('')}</tr>${rows.map(line).join('')}</table>`;
}

export interface Bar {
  name: string;
  value: number;
  unit: string;
}

const NAME = { width: 230, characters: 32 };
const WIDEST = 300;

/** Bars of equal scale: one line each. A name that is too long for its column is cut; the tooltip has it whole. */
export function bars(rows: Bar[]): string {
  const most = Math.max(1, ...rows.map((row) => row.value));
  const short = (name: string): string => (name.length > NAME.characters ? `${name.slice(0, NAME.characters - 1)}…` : name);
  const bar = (row: Bar, i: number): string =>
    `<text x="0" y="${i * 26 + 16}">${escape(short(row.name))}<title>${escape(row.name)}</title></text>` +
    `<rect x="${NAME.width}" y="${i * 26 + 4}" width="${((Math.max(0, row.value) / most) * WIDEST).toFixed(1)}" height="16" rx="3"/>` +
    `<text x="${NAME.width + WIDEST + 10}" y="${i * 26 + 16}">${row.value.toFixed(1)} ${escape(row.unit)}</text>`;
  const [width, height] = [NAME.width + WIDEST + 120, rows.length * 26 + 6];
  return `<svg viewBox="0 0 ${width} ${height}" width="${width}" role="img">${rows.map(bar).join('')}</svg>`;
}

/** A title over something; nothing at all where there is nothing. */
export function section(title: string, body: string): string {
  return body === '' ? '' : `<h2>${escape(title)}</h2>${body}`;
}
