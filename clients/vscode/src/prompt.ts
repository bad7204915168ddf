/** The box that asks what to generate, with earlier prompts on Up and Down. */

import * as vscode from 'vscode';

const HISTORY = 'infill.prompts';
const MOST = 50;

/** A walk through earlier prompts; what was typed before it began is at its end. Pure. */
export class History {
  private index: number;
  private typed = '';

  /** `earlier` begins with the oldest. */
  constructor(private readonly earlier: readonly string[]) {
    this.index = earlier.length;
  }

  /** The prompt one step earlier (-1) or later (1) than `shown`; undefined where there is none. */
  step(by: -1 | 1, shown: string): string | undefined {
    const next = this.index + by;
    if (next < 0 || next > this.earlier.length) return undefined;
    if (this.index === this.earlier.length) this.typed = shown;
    this.index = next;
    return this.earlier[next] ?? this.typed;
  }
}

/** The list with one more prompt at its end; one that was in it moves there. Pure. */
export function remembered(earlier: readonly string[], prompt: string): string[] {
  return prompt === '' ? [...earlier] : [...earlier.filter((one) => one !== prompt), prompt].slice(-MOST);
}

let walk: ((by: -1 | 1) => void) | undefined;

/** The commands behind Up and Down in the box. */
export function registerHistory(): vscode.Disposable[] {
  return [
    vscode.commands.registerCommand('infill.earlierPrompt', () => walk?.(-1)),
    vscode.commands.registerCommand('infill.laterPrompt', () => walk?.(1)),
  ];
}

/** Ask for a prompt; undefined when the box was closed. */
export async function askPrompt(state: vscode.Memento, title: string, prompt: string): Promise<string | undefined> {
  const box = vscode.window.createInputBox();
  Object.assign(box, { title, prompt, ignoreFocusOut: true });
  const earlier = state.get<string[]>(HISTORY, []);
  const history = new History(earlier);
  walk = (by) => { box.value = history.step(by, box.value) ?? box.value; };
  await vscode.commands.executeCommand('setContext', 'infill.prompting', true);
  try {
    const given = await new Promise<string | undefined>((resolve) => {
      box.onDidAccept(() => { resolve(box.value.trim()); });
      box.onDidHide(() => { resolve(undefined); });
      box.show();
    });
    if (given !== undefined) await state.update(HISTORY, remembered(earlier, given));
    return given;
  } finally {
    walk = undefined;
    box.dispose();
    await vscode.commands.executeCommand('setContext', 'infill.prompting', false);
  }
}
