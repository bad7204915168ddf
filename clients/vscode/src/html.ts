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

const LINE = { height: 40, width: 300, bar: 190 };

/** Bars of equal scale, each under its name: as wide as a narrow column of the editor, and never scaled down. */
export function bars(rows: Bar[], title = ''): string {
  const most = Math.max(1, ...rows.map((row) => row.value));
  const bar = (row: Bar, i: number): string =>
    `<text x="0" y="${i * LINE.height + 14}">${escape(row.name)}</text>` +
    `<rect x="0" y="${i * LINE.height + 19}" width="${((Math.max(0, row.value) / most) * LINE.bar).toFixed(1)}" height="12" rx="3"/>` +
    `<text x="${LINE.bar + 8}" y="${i * LINE.height + 30}">${row.value.toFixed(1)} ${escape(row.unit)}</text>`;
  const height = rows.length * LINE.height + 4;
  const spoken = [title, ...rows.map((row) => `${row.name} ${row.value.toFixed(1)} ${row.unit}`)].filter((part) => part !== '').join('; ');
  return `<svg viewBox="0 0 ${LINE.width} ${height}" width="${LINE.width}" height="${height}" role="img" aria-label="${escape(spoken)}">${rows.map(bar).join('')}</svg>`;
}

/** A title over something; nothing at all where there is nothing. */
export function section(title: string, body: string): string {
  return body === '' ? '' : `${title === '' ? '' : `<h2>${escape(title)}</h2>`}${body}`;
}

/** A whole page in the theme's colours, with no script and no network. Wide tables scroll by themselves in a narrow column. */
export function page(title: string, body: string): string {
  return `<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'"><title>${escape(title)}</title>
<style>body{font-family:var(--vscode-font-family);color:var(--vscode-foreground);padding:1em}h1,h2{font-weight:400}
table{border-collapse:collapse;display:block;overflow-x:auto}th{text-align:left;font-weight:400;opacity:.75;padding:.2em 1.5em .2em 0;vertical-align:top}td{padding:.2em 1.5em .2em 0;vertical-align:top}
a{display:inline-block;margin:.2em 1em .2em 0;padding:.3em .9em;border-radius:2px;text-decoration:none;color:var(--vscode-button-foreground);background:var(--vscode-button-background)}
.lead{font-size:1.2em}summary{cursor:pointer}svg{overflow:visible}rect{fill:var(--vscode-charts-blue)}text{fill:var(--vscode-foreground);font-size:12px}ul{margin:0;padding-left:1.2em}</style></head>
<body><h1>${escape(title)}</h1>${body}</body></html>`;
}
