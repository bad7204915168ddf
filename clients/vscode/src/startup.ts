/** Finding, starting, installing and upgrading the server. Nothing here is awaited by the activation. */

import * as vscode from 'vscode';
import type { Server } from './client';
import { findServer, type Found } from './find';
import { extensionVersion, installServer, isOutdated } from './install';
import { environment } from './keys';
import type { Situation } from './situation';

export class Startup {
  /** What changes by itself is done one after the other: trust brings settings with it, and two restarts at once would start two servers. */
  private turn: Promise<unknown> = Promise.resolve();

  constructor(
    private readonly context: vscode.ExtensionContext,
    private readonly server: Server,
    private readonly situation: Situation,
    private readonly log: vscode.LogOutputChannel,
  ) {}

  /** The start after the editor's. */
  begin(): void {
    void this.inTurn(async () => {
      const found = await this.start();
      if (found && isOutdated(this.context, found)) void this.offerUpgrade(found);
    });
  }

  restart(): Promise<void> {
    return this.inTurn(async () => {
      await this.server.stop();
      await this.start();
    });
  }

  /** The setting `infill.enabled` was changed. */
  enabledChanged(): Promise<void> {
    return this.inTurn(async () => { await (this.enabled ? this.start() : this.server.stop()); });
  }

  async install(): Promise<void> {
    if (await installServer(this.context, this.log)) await this.restart();
  }

  private get enabled(): boolean {
    return vscode.workspace.getConfiguration('infill').get('enabled', true);
  }

  /** Start the server that is found; where there is none, offer to install it, and wait for no answer. */
  private async start(): Promise<Found | undefined> {
    if (!this.enabled || this.server.running) return undefined;
    const found = await this.situation.starting(async () => {
      const server = await findServer(this.context, this.log);
      if (server) await this.server.start(server, await environment(this.context));
      return server;
    });
    if (!found) void this.offerServer();
    return found;
  }

  /** A failure is shown, and fails neither the activation nor what comes next. */
  private inTurn(act: () => Promise<void>): Promise<void> {
    const mine = this.turn.then(act).catch((error: unknown) => { void this.tellFailed(error); });
    this.turn = mine;
    return mine;
  }

  private async tellFailed(error: unknown): Promise<void> {
    this.log.error(error instanceof Error ? error : String(error));
    const [openLog, restart, settings] = [vscode.l10n.t('Open Log'), vscode.l10n.t('Restart Server'), vscode.l10n.t('Open Settings')];
    const chosen = await vscode.window.showErrorMessage(vscode.l10n.t('The infill server did not start.'), openLog, restart, settings);
    if (chosen === openLog) this.log.show();
    if (chosen === restart) await this.restart();
    if (chosen === settings) await vscode.commands.executeCommand('workbench.action.openSettings', 'infill.server');
  }

  private async offerServer(): Promise<void> {
    const install = vscode.l10n.t('Install');
    const settings = vscode.l10n.t('Open Settings');
    const question = vscode.l10n.t('infill needs its server, which runs the model on this machine. Install it now? This takes Python 3.10 or newer and 1 to 10 minutes.');
    // a warning: VS Code puts information away by itself
    const chosen = await vscode.window.showWarningMessage(question, install, settings);
    if (chosen === install) await this.install();
    if (chosen === settings) await vscode.commands.executeCommand('workbench.action.openSettings', 'infill.server.command');
  }

  /** The extension was updated, and its private server stayed behind. */
  private async offerUpgrade({ version }: Found): Promise<void> {
    const upgrade = vscode.l10n.t('Upgrade');
    const question = vscode.l10n.t('The infill server on this machine is version {0}; version {1} came with the extension.', version, extensionVersion(this.context));
    if ((await vscode.window.showInformationMessage(question, upgrade)) !== upgrade) return;
    await this.server.stop(); // on Windows no program can be replaced while it runs
    await installServer(this.context, this.log, 'upgrade');
    await this.restart();
  }
}
