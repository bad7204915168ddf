/** What the status bar, its tooltip and its menu say: one state out of all that is known. Of the editor it knows the language alone. */

import { l10n } from 'vscode';
import type { Status } from './protocol';

/** The language of the document in front: its id, its name as the editor shows it, and whether completions are on for it. */
export interface Language {
  id: string;
  name: string;
  on: boolean;
}

export interface Facts {
  enabled: boolean;
  /** The server is being looked for or started. */
  starting: boolean;
  status: Status | undefined;
  language: Language | undefined;
  /** The end of a snooze, as the clock shows it; empty: none. */
  snoozedUntil: string;
  /** Whether VS Code shows ghost text at all: `editor.inlineSuggest.enabled`. */
  ghostText: boolean;
}

export type Kind = 'off' | 'starting' | 'stopped' | 'languageOff' | 'snoozed' | Status['kind'];

export interface View {
  kind: Kind;
  /** The status bar item's text, with its icons. */
  text: string;
  /** The same in one sentence, for the tooltip, the menu's title and screen readers. */
  sentence: string;
}

const QUANTIZATION = /[-_.](?:i?q\d\w*|bf16|f16|f32|mxfp4\w*)$/i;

/** A model's id without provider, folder and quantization, for narrow places. */
export function shortName(model: string): string {
  const [, name = model] = /^local:(?:.*\/)?(.+)$/.exec(model) ?? [];
  return name === 'bundled' ? l10n.t('built-in') : name.replace(/\.gguf$/i, '').replace(QUANTIZATION, '');
}

/** The remote provider that completes; empty for the local model. */
export function remoteName({ provider, model }: Status): string {
  return provider === '' || provider === 'local' || model.startsWith('local:') ? '' : provider;
}

function named(status: Status): string {
  const remote = remoteName(status);
  const name = shortName(status.model.startsWith(`${remote}/`) ? status.model.slice(remote.length + 1) : status.model);
  const marks = [remote, status.offline === true ? l10n.t('offline') : ''].filter((mark) => mark !== '');
  return [name, marks.length > 0 ? `(${marks.join(', ')})` : ''].filter((part) => part !== '').join(' ');
}

const ICON: Record<Kind, string> = {
  off: '$(infill-off)',
  starting: '$(loading~spin)',
  stopped: '$(debug-disconnect)',
  languageOff: '$(infill-off)',
  snoozed: '$(bell-slash)',
  ready: '$(infill-logo)',
  loading: '$(loading~spin)',
  generating: '$(sync~spin)',
  warning: '$(warning)',
  error: '$(error)',
};

function kindOf({ enabled, starting, status, language, snoozedUntil }: Facts): Kind {
  if (!enabled || status?.kind === 'off') return 'off';
  if (status === undefined) return starting ? 'starting' : 'stopped';
  if (status.kind === 'error') return 'error';
  if (language?.on === false) return 'languageOff';
  if (snoozedUntil !== '') return 'snoozed';
  return status.busy && status.kind === 'ready' ? 'generating' : status.kind;
}

/** How much of the model is loaded, such as `42 %`; empty where that is not known. */
function share({ message }: Status): string {
  const [, percent] = /(\d+) ?%/.exec(message) ?? [];
  return percent === undefined ? '' : `${percent} %`;
}

function short(kind: Kind, { status, language, snoozedUntil }: Facts): string {
  switch (kind) {
    case 'off': return l10n.t('off');
    case 'starting': return l10n.t('starting');
    case 'stopped': return l10n.t('not running');
    case 'languageOff': return l10n.t('off for {0}', language?.name ?? '');
    case 'snoozed': return l10n.t('snoozed until {0}', snoozedUntil);
    case 'error': return l10n.t('error');
    default: return status ? `${named(status)} ${kind === 'loading' ? share(status) : ''}`.trim() : '';
  }
}

function sentence(kind: Kind, { status, language, snoozedUntil, ghostText }: Facts): string {
  switch (kind) {
    case 'off': return l10n.t('Completions are disabled.');
    case 'starting': return l10n.t('The server is starting.');
    case 'stopped': return l10n.t('The server is not running.');
    case 'languageOff': return l10n.t('Completions are disabled for {0}.', language?.name ?? '');
    case 'snoozed': return l10n.t('Completions are snoozed until {0}.', snoozedUntil);
    case 'generating': return l10n.t('Generating');
    case 'ready': return ghostText ? l10n.t('Ready') : l10n.t('VS Code shows no inline suggestions: editor.inlineSuggest.enabled is off.');
    default: return status?.message ?? '';
  }
}

export function view(facts: Facts): View {
  const kind = kindOf(facts);
  const text = short(kind, facts);
  return { kind, text: `${ICON[kind]} infill${text === '' ? '' : `: ${text}`}`, sentence: sentence(kind, facts) };
}
