/** Facts in the words that people read. Of the editor it knows the language alone. */

import { l10n } from 'vscode';
import type { Edit, Generated, Model } from './protocol';

export function bytes(count: number): string {
  if (count <= 0) return '';
  return count < 1e9 ? `${Math.round(count / 1e6)} MB` : `${(count / 1e9).toFixed(1)} GB`;
}

/** Tokens a second below which a model is marked as slow: a page of code then takes minutes. */
const SLOW = 8;

const isSlow = ({ tokensPerSecond }: Model): boolean => tokensPerSecond > 0 && tokensPerSecond < SLOW;

function icon(model: Model): string {
  if (model.active) return 'check';
  if (model.state === 'broken') return 'warning';
  if (model.state === 'downloading') return 'loading~spin';
  if (model.fit === 'remote') return 'cloud';
  if (model.fit === 'too big') return 'circle-slash';
  if (model.installed) return 'package';
  return isRecommended(model) ? 'star-full' : 'cloud-download';
}

/** The name of a model with its quantization, by which files of the same model differ. */
export function fullTitle({ title, quantization }: Model): string {
  return quantization === '' || title.toLowerCase().includes(quantization.toLowerCase()) ? title : `${title} ${quantization.toUpperCase()}`;
}

/** A line of the model picker: icon and name; the summary stands beside it. */
export function label(model: Model): string {
  return `$(${icon(model)}) ${fullTitle(model)}`;
}

const isRecommended = ({ recommended }: Model): boolean => (recommended ?? []).length > 0;

export type Group = 'installed' | 'recommended' | 'remote' | 'others' | 'tooBig';

function groupOf(model: Model): Group {
  if (model.fit === 'remote') return 'remote';
  if (model.installed) return 'installed';
  if (model.fit === 'too big') return 'tooBig';
  return isRecommended(model) ? 'recommended' : 'others';
}

/** Models by group, in the order in which they are shown; groups without models are left out. */
export function grouped(models: Model[]): [Group, Model[]][] {
  const order: Group[] = ['installed', 'recommended', 'remote', 'others', 'tooBig'];
  return order.map((group): [Group, Model[]] => [group, models.filter((model) => groupOf(model) === group)]).filter(([, found]) => found.length > 0);
}

function stateOf({ state, progress = 0 }: Model): string {
  if (state === 'downloading') return progress > 0 ? l10n.t('downloading, {0} %', Math.floor(progress * 100)) : l10n.t('downloading');
  const states: Record<string, string> = { loading: l10n.t('loading'), loaded: l10n.t('loaded'), broken: l10n.t('broken') };
  return states[state] ?? '';
}

/** What is to be known of a model in a line: what matters most comes first, for narrow views cut the end. */
export function summary(model: Model): string {
  const speed = model.tokensPerSecond > 0 ? l10n.t('about {0} tokens/s', Math.max(1, Math.round(model.tokensPerSecond))) : '';
  return [
    stateOf(model),
    bytes(model.size),
    speed,
    isSlow(model) ? l10n.t('slow on this machine') : '',
    model.fit === 'tight' ? l10n.t('little memory left') : '',
    model.continuesOnly === true ? l10n.t('continues only') : '',
    model.commercial === false ? l10n.t('non-commercial license') : '',
    model.licence,
  ].filter((part) => part !== '').join(' · ');
}

/** The edits of a generation, whichever of LSP's two shapes the server chose. */
export function editsOf(generated: Generated): Edit[] {
  const { changes, documentChanges } = generated.edit;
  return [...Object.values(changes ?? {}).flat(), ...(documentChanges ?? []).flatMap((change) => change.edits)];
}

/** The smallest replacement that makes one text of another, by offsets; undefined where they are the same. */
export function changeBetween(before: string, after: string): { start: number; end: number; text: string } | undefined {
  if (before === after) return undefined;
  const most = Math.min(before.length, after.length);
  let start = 0;
  while (start < most && before[start] === after[start]) start++;
  let same = 0;
  while (same < most - start && before[before.length - 1 - same] === after[after.length - 1 - same]) same++;
  // no character that takes two places is cut in half
  if (/[\uD800-\uDBFF]/.test(before[start - 1] ?? '')) start--;
  if (/[\uDC00-\uDFFF]/.test(before[before.length - same] ?? '')) same--;
  return { start, end: before.length - same, text: after.slice(start, after.length - same) };
}

/** `1.2.3` from what `infill --version` printed; undefined where it is something else. */
export function versionIn(output: string): [number, number, number] | undefined {
  const match = /(\d+)\.(\d+)\.(\d+)/.exec(output);
  return match ? [Number(match[1]), Number(match[2]), Number(match[3])] : undefined;
}

export function isAtLeast(version: [number, number, number], wanted: [number, number, number]): boolean {
  const differing = version.findIndex((part, i) => part !== wanted[i]);
  return differing === -1 || (version[differing] ?? 0) > (wanted[differing] ?? 0);
}

/** Whether one version (as people write it) came before the other; not where one of them is no version. */
export function isOlder(version: string, other: string): boolean {
  const [mine, theirs] = [versionIn(version), versionIn(other)];
  return mine !== undefined && theirs !== undefined && !isAtLeast(mine, theirs);
}

/** Put a value at a path of names into nested objects. */
export function nest(into: Record<string, unknown>, path: string[], value: unknown): void {
  const [name, ...rest] = path;
  if (name === undefined) return;
  if (rest.length === 0) {
    into[name] = value;
    return;
  }
  const inner = (into[name] ?? {}) as Record<string, unknown>;
  into[name] = inner;
  nest(inner, rest, value);
}
