/** Keys of remote providers: kept in the editor's secret storage, handed to the server in its environment, never in settings or arguments. */

import * as vscode from 'vscode';

const NAMES = 'infill.keyNames';

/** The environment variable that the server looks a provider's key up in, unless settings name another: `keys.own_variable` over there. */
export function variable(provider: string): string {
  return `INFILL_KEY_${provider.toUpperCase().replace(/[^A-Z0-9]/g, '_')}`;
}

export async function environment(context: vscode.ExtensionContext): Promise<Record<string, string>> {
  const found: Record<string, string> = {};
  for (const name of context.globalState.get<string[]>(NAMES, [])) {
    const key = await context.secrets.get(`infill.key.${name}`);
    if (key !== undefined) found[variable(name)] = key;
  }
  return found;
}

/** Ask for a key and keep it; an empty one forgets it. True when something changed. */
export async function storeKey(context: vscode.ExtensionContext): Promise<boolean> {
  const remote = Object.keys(vscode.workspace.getConfiguration('infill').get<Record<string, unknown>>('providers.remote') ?? {});
  const name = await vscode.window.showQuickPick(remote, { title: vscode.l10n.t('Key for which provider? (Providers are named in the setting infill.providers.remote.)') });
  if (name === undefined) return false;
  const key = await vscode.window.showInputBox({ password: true, prompt: vscode.l10n.t('Key for {0}; empty: forget it', name) });
  if (key === undefined) return false;
  const others = context.globalState.get<string[]>(NAMES, []).filter((known) => known !== name);
  await context.globalState.update(NAMES, key === '' ? others : [...others, name]);
  await (key === '' ? context.secrets.delete(`infill.key.${name}`) : context.secrets.store(`infill.key.${name}`, key));
  return true;
}
