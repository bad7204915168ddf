/** What was suggested and taken, in total and model by model; and two models side by side. Of the editor it knows the language alone. */

import { l10n } from 'vscode';
import { bars, grid, section, table, type Bar } from './html';

/** How one model of one provider does on this machine. */
export interface Kept {
  provider: string;
  model: string;
  shown: number;
  accepted: number;
  characters: number;
  p50: number;
  p95: number;
  tokensPerSecond: number;
}

export interface Statistics {
  shown: number;
  accepted: number;
  partly: number;
  characters: number;
  latency: { p50: number; p95: number };
  byModel: Kept[];
}

const percent = (accepted: number, shown: number): number => (shown > 0 ? (100 * accepted) / shown : 0);
const taken = ({ accepted, shown }: { accepted: number; shown: number }): string => `${accepted} (${percent(accepted, shown).toFixed(0)} %)`;
const ms = (value: number): string => `${value.toFixed(0)} ms`;

/** A model's name, with its provider's where that does not show already. */
export function nameOf({ provider, model }: Kept): string {
  return model.startsWith(`${provider}:`) ? model : `${provider} ${model}`;
}

export function totals(stats: Statistics): string {
  const drawn = (title: string, rows: Kept[], unit: string, value: (row: Kept) => number): string => {
    const found: Bar[] = rows.map((row) => ({ name: nameOf(row), value: value(row), unit }));
    return section(title, found.length > 1 ? bars(found, title) : ''); // one bar compares nothing
  };
  const facts = {
    [l10n.t('suggestions shown')]: stats.shown,
    [l10n.t('accepted')]: taken(stats),
    [l10n.t('accepted in part')]: stats.partly,
    [l10n.t('characters of typing saved')]: stats.characters,
    [l10n.t('latency, median')]: ms(stats.latency.p50),
    [l10n.t('latency, 95th percentile')]: ms(stats.latency.p95),
  };
  return (
    table(facts) +
    drawn(l10n.t('Median latency'), stats.byModel, 'ms', (row) => row.p50) +
    drawn(l10n.t('Accepted'), stats.byModel, '%', (row) => percent(row.accepted, row.shown)) +
    drawn(l10n.t('Speed'), stats.byModel.filter((row) => row.tokensPerSecond > 0), 'tokens/s', (row) => row.tokensPerSecond)
  );
}

/** The two that stand side by side: those that were chosen, else those that were shown most; undefined where only one has answered yet. */
export function pairOf(stats: Statistics, chosen: string[]): [Kept, Kept] | undefined {
  const [first, second] = chosen.map((name) => stats.byModel.find((row) => nameOf(row) === name));
  if (first && second) return [first, second];
  const [most, next] = stats.byModel;
  return most && next ? [most, next] : undefined;
}

export function sideBySide(pair: [Kept, Kept]): string {
  const line = (name: string, cell: (row: Kept) => string): string[] => [name, ...pair.map(cell)];
  return grid(['', ...pair.map(nameOf)], [
    line(l10n.t('suggestions shown'), (row) => String(row.shown)),
    line(l10n.t('accepted'), taken),
    line(l10n.t('characters of typing saved'), (row) => String(row.characters)),
    line(l10n.t('latency, median'), (row) => ms(row.p50)),
    line(l10n.t('latency, 95th percentile'), (row) => ms(row.p95)),
    line(l10n.t('tokens per second'), (row) => (row.tokensPerSecond > 0 ? row.tokensPerSecond.toFixed(0) : '-')),
  ]);
}
