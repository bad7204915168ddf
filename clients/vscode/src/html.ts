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

/** Bars of equal scale: one line each. */
export function bars(rows: { name: string; value: number; unit: string }[]): string {
  const most = Math.max(1, ...rows.map((row) => row.value));
  const bar = (row: { name: string; value: number; unit: string }, i: number): string =>
    `<text x="0" y="${i * 26 + 16}">${escape(row.name)}</text><rect x="160" y="${i * 26 + 4}" width="${((row.value / most) * 300).toFixed(1)}" height="16" rx="3"/>` +
    `<text x="470" y="${i * 26 + 16}">${row.value.toFixed(1)} ${escape(row.unit)}</text>`;
  return `<svg viewBox="0 0 580 ${rows.length * 26 + 6}" width="580" role="img">${rows.map(bar).join('')}</svg>`;
}
