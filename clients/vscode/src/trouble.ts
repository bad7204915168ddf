/** Errors as notifications: what happened, and buttons for what helps. A notification with a button is never cut to one line. */

import * as vscode from 'vscode';

/** As the server names it: a class of its errors, and its sentence without the next step, which is a shell command in places. */
export interface Trouble {
  error?: string;
  message: string;
  /** `info` for what was wanted, such as a cancelled download. */
  severity?: 'error' | 'warning' | 'info';
}

interface Remedy {
  title: string;
  act: () => Thenable<unknown>;
}

const run = (title: string, command: string, ...args: unknown[]): Remedy => ({ title, act: () => vscode.commands.executeCommand(command, ...args) });

const chooseModel = (): Remedy => run(vscode.l10n.t('Choose Model'), 'infill.chooseModel');
const openLog = (): Remedy => run(vscode.l10n.t('Open Log'), 'infill.showLog');
const openSettings = (query: string): Remedy => run(vscode.l10n.t('Open Settings'), 'workbench.action.openSettings', query);
const rebuild = (): Remedy => run(vscode.l10n.t('Rebuild'), 'infill.rebuild');
const useCpu = (): Remedy => ({
  title: vscode.l10n.t('Use the CPU'),
  act: () => vscode.workspace.getConfiguration('infill').update('engine.gpuLayers', 0, vscode.ConfigurationTarget.Global),
});

/** By class of the error; one that is not here offers the log alone. */
const REMEDIES: Record<string, () => Remedy[]> = {
  SettingsError: () => [openSettings('@ext:infill.infill @modified')],
  UnknownModel: () => [chooseModel(), openSettings('infill.models')],
  ModelMissing: () => [chooseModel()],
  ModelError: () => [chooseModel()],
  BadModelFile: () => [chooseModel()],
  BadChatTemplate: () => [chooseModel()],
  NotAChatModel: () => [chooseModel()],
  ChecksumMismatch: () => [chooseModel()],
  DoesNotFit: () => [chooseModel(), openSettings('infill.engine')],
  DownloadFailed: () => [chooseModel(), openSettings('infill.privacy.offline')],
  ProviderError: () => [openSettings('infill.providers')],
  ProviderUnavailable: () => [openSettings('infill.providers')],
  ProviderRefused: () => [run(vscode.l10n.t('Set API Key'), 'infill.storeKey'), openSettings('infill.providers')],
  EngineCrashed: () => [useCpu(), rebuild()],
  ComputationCrashed: () => [useCpu(), rebuild()],
};

/** The buttons of an error. */
export function remedies(error: string | undefined): Remedy[] {
  return [...(REMEDIES[error ?? '']?.() ?? []), openLog()];
}

export async function showTrouble({ error, message: said, severity = 'error' }: Trouble): Promise<void> {
  const message = said.replaceAll('](', '] ('); // VS Code would make a link of it
  if (severity === 'info') {
    void vscode.window.showInformationMessage(message);
    return;
  }
  const offered = remedies(error);
  const titles = offered.map(({ title }) => title);
  const show = severity === 'warning' ? vscode.window.showWarningMessage : vscode.window.showErrorMessage;
  const chosen = await show(message, ...titles);
  await offered.find(({ title }) => title === chosen)?.act();
}
