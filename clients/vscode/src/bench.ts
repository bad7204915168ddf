/** Saved results of `infill bench ... --json` as tables and bars. Whatever a file holds, it becomes escaped text of bounded size, or a sentence. */

import { l10n } from 'vscode';
import { bars, escape, grid, section, type Bar } from './html';
import { bytes } from './words';

/** Typing is kept moment by moment: some megabytes. What is far larger is something else. */
export const MOST_BYTES = 64e6;
const MOST_ROWS = 60;
const LONGEST = 160;

type Facts = Record<string, unknown>;
const facts = (value: unknown): Facts => (typeof value === 'object' && value !== null ? (value as Facts) : {});
const list = (value: unknown): Facts[] => (Array.isArray(value) ? value.slice(0, MOST_ROWS).map(facts) : []);
const text = (value: unknown): string => (typeof value === 'string' ? value.slice(0, LONGEST) : '');
const number = (value: unknown): number => (typeof value === 'number' ? value : 0);
/** Three digits that count. */
const digits = (value: number): string => (Math.abs(value) >= 100 ? value.toFixed(0) : String(Number(value.toPrecision(3))));
const drawn = (rows: Bar[]): string => (rows.some((row) => row.value > 0) ? bars(rows) : '');

function median(values: number[]): number {
  const ordered = [...values].sort((one, other) => one - other);
  const middle = (ordered.length - 1) / 2;
  return ((ordered[Math.floor(middle)] ?? 0) + (ordered[Math.ceil(middle)] ?? 0)) / 2;
}

/** `infill bench typing`: medians over the runs of each side. */
function typing(comparisons: Facts[]): string {
  const rows = comparisons.flatMap(({ model, runs }) => {
    const played = list(runs);
    return [...new Set(played.map((run) => text(run.side)))].map((side) => {
      const figures = played.filter((run) => text(run.side) === side).map((run) => facts(run.figures));
      const of = (value: (found: Facts) => number): number => median(figures.map(value));
      return {
        name: `${text(model)}, ${side}`,
        p50: of((found) => number(facts(found.latency).p50)),
        p95: of((found) => number(facts(found.latency).p95)),
        seen: of((found) => (100 * number(found.pauses_seen)) / Math.max(1, number(found.pauses))),
        saved: of((found) => number(found.characters_saved)),
      };
    });
  });
  if (rows.length === 0) return '';
  const head = ['', l10n.t('latency, median'), l10n.t('latency, 95th percentile'), l10n.t('pauses with a suggestion'), l10n.t('characters of typing saved')];
  const cells = rows.map((row) => [row.name, `${digits(row.p50)} ms`, `${digits(row.p95)} ms`, `${digits(row.seen)} %`, digits(row.saved)]);
  return grid(head, cells) + drawn(rows.map((row) => ({ name: row.name, value: row.p50, unit: 'ms' })));
}

/** `infill bench speed`. Zero stands for what is not known there. */
function speed(speeds: Facts[]): string {
  const rows = speeds.filter((row) => text(row.name) !== '' && 'generate_per_second' in row);
  if (rows.length === 0) return '';
  const known = (value: unknown, unit: string): string => (number(value) > 0 ? `${digits(number(value))} ${unit}` : '-');
  const head = ['', l10n.t('generation'), l10n.t('evaluation'), l10n.t('first token'), l10n.t('loading'), l10n.t('memory')];
  const cells = rows.map((row) => [
    text(row.name),
    known(row.generate_per_second, 'tokens/s'),
    known(row.evaluate_per_second, 'tokens/s'),
    known(row.first_token_ms, 'ms'),
    known(row.load_ms, 'ms'),
    bytes(number(row.resident_bytes)) || '-',
  ]);
  return grid(head, cells) + drawn(rows.map((row) => ({ name: text(row.name), value: number(row.generate_per_second), unit: 'tokens/s' })));
}

/** `infill bench table` (and `figures`): each target beside what was measured. */
function targets(found: Facts[]): string {
  const rows = found.filter((row) => text(row.what) !== '' && 'target' in row);
  const cells = rows.map((row) => {
    const [measured, target, unit] = [number(row.measured), number(row.target), text(row.unit)];
    const bound = row.at_least === true ? l10n.t('at least {0} {1}', digits(target), unit) : l10n.t('at most {0} {1}', digits(target), unit);
    const met = row.at_least === true ? measured >= target : measured <= target;
    const unknown = text(row.unknown);
    const said = unknown !== '' ? ['-', unknown] : [`${digits(measured)} ${unit}`, met ? l10n.t('met') : l10n.t('missed')];
    return [text(row.what), bound.trim(), ...said, text(row.note)];
  });
  return cells.length > 0 ? grid(['', l10n.t('target'), l10n.t('measured'), '', ''], cells) : '';
}

function machine(here: Facts): string {
  if (text(here.cpu) === '') return '';
  const said = l10n.t('{0}, {1} cores, {2}; infill {3}; load {4} at the start', text(here.cpu), number(here.physical_cores), bytes(number(here.memory_bytes)), text(here.infill), number(here.load).toFixed(2));
  return `<p>${escape(said)}</p>`;
}

function parsed(content: string): Facts {
  try {
    return facts(JSON.parse(content));
  } catch {
    return {}; // no JSON: no result either
  }
}

/** The page's part about one saved file. */
export function benchResults(name: string, content: string): string {
  const data = parsed(content);
  const held = 'measured' in data ? facts(data.measured) : data; // as in the folder that `bench table` writes
  const found =
    section(l10n.t('Typing'), typing(list(held.comparisons))) +
    section(l10n.t('Speed of models'), speed(list(held.speeds))) +
    section(l10n.t('Targets'), targets(list(held.rows)));
  return section(l10n.t('Bench results: {0}', text(name)), found === '' ? noResult(name) : machine(facts(data.machine)) + found);
}

export function noResult(name: string): string {
  return `<p role="alert">${escape(l10n.t('{0} is no result of infill bench. "infill bench speed --json > speed.json" writes one.', text(name)))}</p>`;
}
