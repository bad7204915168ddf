/** The status bar item with its tooltip, and the menu behind it. Both offer what can be done now. */

import * as vscode from 'vscode';
import type { Situation } from './situation';
import { remoteName, type Facts, type Kind } from './state';

interface Entry {
  icon: string;
  label: string;
  command: string;
}

/** What helps in a state, first of all. */
function remedies(kind: Kind): Entry[] {
  const log = { icon: 'output', label: vscode.l10n.t('Open Log'), command: 'infill.showLog' };
  if (kind === 'error' || kind === 'warning') {
    return [
      { icon: 'list-selection', label: vscode.l10n.t('Choose Model...'), command: 'infill.chooseModel' },
      { icon: 'refresh', label: vscode.l10n.t('Restart Server'), command: 'infill.restart' },
      log,
    ];
  }
  if (kind === 'stopped') {
    return [
      { icon: 'refresh', label: vscode.l10n.t('Restart Server'), command: 'infill.restart' },
      { icon: 'desktop-download', label: vscode.l10n.t('Install the Server'), command: 'infill.installServer' },
      log,
    ];
  }
  return [];
}

/** Enabling, disabling and snoozing, by what they would do now. */
function switches({ enabled, language, snoozedUntil }: Facts): Entry[] {
  if (!enabled) return [{ icon: 'infill-logo', label: vscode.l10n.t('Enable Completions'), command: 'infill.enable' }];
  const snoozed = snoozedUntil === ''
    ? { icon: 'bell-slash', label: vscode.l10n.t('Snooze Completions...'), command: 'infill.snooze' }
    : { icon: 'bell', label: vscode.l10n.t('End Snooze'), command: 'infill.endSnooze' };
  const here = language && (language.on
    ? { icon: 'infill-off', label: vscode.l10n.t('Disable Completions for {0}', language.name), command: 'infill.disableLanguage' }
    : { icon: 'infill-logo', label: vscode.l10n.t('Enable Completions for {0}', language.name), command: 'infill.enableLanguage' });
  return [...(here ? [here] : []), snoozed, { icon: 'infill-off', label: vscode.l10n.t('Disable Completions'), command: 'infill.disable' }];
}

function work({ status }: Facts): Entry[] {
  if (status === undefined) return [];
  return [
    { icon: 'list-selection', label: vscode.l10n.t('Choose Model...'), command: 'infill.chooseModel' },
    { icon: 'cloud-download', label: vscode.l10n.t('Download a Model...'), command: 'infill.chooseDownload' },
    { icon: 'wand', label: vscode.l10n.t('Generate Code...'), command: 'infill.generateHere' },
    { icon: 'question', label: vscode.l10n.t('Explain the Last Suggestion'), command: 'infill.explainLast' },
    { icon: 'graph', label: vscode.l10n.t('Show Report'), command: 'infill.showReport' },
  ];
}

function upkeep({ enabled, status }: Facts): Entry[] {
  const memory = [
    { icon: 'arrow-circle-up', label: vscode.l10n.t('Load the Model Now'), command: 'infill.load' },
    { icon: 'arrow-circle-down', label: vscode.l10n.t('Unload the Model'), command: 'infill.unload' },
  ];
  return [
    ...(status ? memory : []),
    ...(enabled ? [{ icon: 'refresh', label: vscode.l10n.t('Restart Server'), command: 'infill.restart' }] : []),
    { icon: 'gear', label: vscode.l10n.t('Settings'), command: 'infill.openSettings' },
    { icon: 'output', label: vscode.l10n.t('Open Log'), command: 'infill.showLog' },
  ];
}

/** The groups of the menu, without an entry that a group above has. */
export function menu(kind: Kind, facts: Facts): Entry[][] {
  const seen = new Set<string>();
  const isNew = ({ command }: Entry): boolean => !seen.has(command) && Boolean(seen.add(command));
  return [remedies(kind), work(facts), switches(facts), upkeep(facts)].map((group) => group.filter(isNew)).filter((group) => group.length > 0);
}

export class StatusBar implements vscode.Disposable {
  private readonly item = vscode.window.createStatusBarItem('infill.status', vscode.StatusBarAlignment.Right, 100);
  private readonly subscription: vscode.Disposable;

  constructor(private readonly situation: Situation) {
    this.item.name = 'infill';
    this.item.command = 'infill.menu';
    this.subscription = situation.onChange(() => { this.render(); });
    this.render();
    this.item.show();
  }

  private render(): void {
    const { kind, text, sentence } = this.situation.view;
    this.item.text = text;
    this.item.accessibilityInformation = { label: `${text.replace(/\$\([^)]*\)\s*/g, '')}. ${sentence}`, role: 'button' };
    this.item.tooltip = this.tooltip();
    this.item.backgroundColor = kind === 'error' || kind === 'warning' ? new vscode.ThemeColor(`statusBarItem.${kind}Background`) : undefined;
  }

  private tooltip(): vscode.MarkdownString {
    const { facts, view: { kind, sentence } } = this.situation;
    const groups = [...remedies(kind), ...switches(facts)];
    const offered = facts.status && kind !== 'error' && kind !== 'warning' ? [work(facts)[0], ...groups] : groups;
    const tip = new vscode.MarkdownString('', true);
    tip.isTrusted = { enabledCommands: offered.flatMap((entry) => (entry ? [entry.command] : [])) };
    tip.appendMarkdown('**infill**: ').appendText(sentence);
    if (facts.status && facts.status.model !== '') tip.appendMarkdown('\n\n').appendText(vscode.l10n.t('Model: {0}', facts.status.model));
    if (facts.status && remoteName(facts.status) !== '') tip.appendMarkdown('\n\n').appendText(vscode.l10n.t('Your code is sent to {0}.', remoteName(facts.status)));
    if (facts.status?.offline === true) tip.appendMarkdown('\n\n').appendText(vscode.l10n.t('Offline: nothing is downloaded, and remote providers are not asked.'));
    for (const entry of offered) if (entry) tip.appendMarkdown(`\n\n[$(${entry.icon}) ${entry.label}](command:${entry.command})`);
    return tip;
  }

  dispose(): void {
    this.subscription.dispose();
    this.item.dispose();
  }
}

/** Everything that one may want to do from the status bar. */
export async function showMenu(situation: Situation): Promise<void> {
  const separator: vscode.QuickPickItem & { command?: string } = { label: '', kind: vscode.QuickPickItemKind.Separator };
  const items = menu(situation.view.kind, situation.facts).flatMap((group, i) => [
    ...(i === 0 ? [] : [separator]),
    ...group.map(({ icon, label, command }) => ({ label: `$(${icon}) ${label}`, command })),
  ]);
  const chosen = await vscode.window.showQuickPick(items, { title: `infill: ${situation.view.sentence}` });
  // else the status item, which was pressed, gets the focus back and shows its tooltip over what comes next
  await vscode.commands.executeCommand('workbench.action.focusActiveEditorGroup');
  if (chosen?.command !== undefined) await vscode.commands.executeCommand(chosen.command);
}
