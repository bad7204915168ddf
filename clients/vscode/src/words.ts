/** Facts in the words that people read. Of the editor it knows the language alone. */

import { l10n } from 'vscode';
import type { Edit, Generated, Model, Status } from './protocol';

export function bytes(count: number): string {
  if (count <= 0) return '';
  return count < 1e9 ? `${Math.round(count / 1e6)} MB` : `${(count / 1e9).toFixed(1)} GB`;
}

const FIT_ICON = { fits: '$(pass)', tight: '$(warning)', 'too big': '$(circle-slash)', unknown: '$(question)', remote: '$(cloud)' } as const;

/** A line of the model picker: mark and title, then size, speed, state. */
export function label(model: Model): string {
  return `${FIT_ICON[model.fit]} ${model.title}${model.active ? '  $(check)' : ''}`;
}

function stateOf(model: Model): string {
  const states: Record<string, string> = {
    installed: l10n.t('installed'),
    available: l10n.t('available'),
    downloading: l10n.t('downloading'),
    loading: l10n.t('loading'),
    loaded: l10n.t('loaded'),
    broken: l10n.t('broken'),
  };
  const state = states[model.state] ?? model.state;
  if (model.fit === 'too big') return l10n.t('too big');
  return model.fit === 'tight' ? l10n.t('tight, {0}', state) : state;
}

export function summary(model: Model): string {
  const speed = model.tokensPerSecond > 0 ? l10n.t('about {0} tokens/s', Math.round(model.tokensPerSecond)) : '';
  const mark = model.continuesOnly === true ? l10n.t('continues only') : '';
  return [bytes(model.size), speed, stateOf(model), mark, model.licence].filter((part) => part !== '').join(' · ');
}

const STATUS_ICON = {
  ready: '$(sparkle)',
  loading: '$(loading~spin)',
  generating: '$(sync~spin)',
  warning: '$(warning)',
  error: '$(error)',
  off: '$(circle-slash)',
} as const;

/** A model's id without its provider, for narrow places. */
export function shortName(model: string): string {
  return model.replace(/^local:/, '').replace(/^bundled$/, l10n.t('built in'));
}

export function statusText(status: Status | undefined): string {
  if (status === undefined) return '$(debug-disconnect) infill';
  const icon = status.busy && status.kind === 'ready' ? STATUS_ICON.generating : STATUS_ICON[status.kind];
  return `${icon} ${status.kind === 'off' || status.model === '' ? 'infill' : shortName(status.model)}`;
}

/** The edits of a generation, whichever of LSP's two shapes the server chose. */
export function editsOf(generated: Generated): Edit[] {
  const { changes, documentChanges } = generated.edit;
  return [...Object.values(changes ?? {}).flat(), ...(documentChanges ?? []).flatMap((change) => change.edits)];
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
