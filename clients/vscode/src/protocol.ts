/** What the server says and is asked, beyond standard LSP: docs/develop/protocol.md. Types only. */

export interface Status {
  kind: 'ready' | 'loading' | 'generating' | 'warning' | 'error' | 'off';
  message: string;
  provider: string;
  model: string;
  busy: boolean;
  /** Whether downloads and remote providers are switched off. */
  offline?: boolean;
  /** The model that generates code. */
  generates?: string;
}

export interface Model {
  id: string;
  title: string;
  provider: string;
  parameters: string;
  quantization: string;
  size: number;
  licence: string;
  installed: boolean;
  active: boolean;
  fit: 'fits' | 'tight' | 'too big' | 'unknown' | 'remote';
  why: string;
  tokensPerSecond: number;
  checked?: string;
  commercial?: boolean;
  roles: ('complete' | 'generate')[];
  /** The roles for which it is the best on this machine. */
  recommended?: ('complete' | 'generate')[];
  /** Share of an unfinished download. */
  progress?: number;
  continuesOnly?: boolean;
  state: 'installed' | 'available' | 'downloading' | 'loading' | 'loaded' | 'broken';
}

export interface Listing {
  models: Model[];
  active: { complete: string; generate: string };
  scope: 'workspace' | 'global';
  storage: { used: number; free: number; path: string };
}

export interface Generation {
  id: string;
  text: string;
  done: boolean;
  tokens: number;
  tokensPerSecond: number;
}

export interface Position {
  line: number;
  character: number;
}

export interface Edit {
  range: { start: Position; end: Position };
  newText: string;
}

export interface Generated {
  id: string;
  text: string;
  edit: { changes?: Record<string, Edit[]>; documentChanges?: { edits: Edit[] }[] };
  notes: string[];
}
