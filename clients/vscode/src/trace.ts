/** The messages between editor and server, in the log when the setting `infill.trace.server` says so. */

import * as vscode from 'vscode';

const level = (): vscode.LogLevel => (vscode.workspace.getConfiguration('infill').get<string>('trace.server', 'off') === 'off' ? vscode.LogLevel.Off : vscode.LogLevel.Trace);

/** The log as the language client is to see it for its trace: the library asks a log's level alone, and the setting would do nothing. */
export function tracing(log: vscode.LogOutputChannel): vscode.LogOutputChannel {
  const changed = new vscode.EventEmitter<vscode.LogLevel>();
  const listener = vscode.workspace.onDidChangeConfiguration((change) => {
    if (change.affectsConfiguration('infill.trace')) changed.fire(level());
  });
  return Object.create(log, {
    logLevel: { get: level },
    onDidChangeLogLevel: { value: changed.event },
    trace: { value: (message: string) => { log.info(message); } },
    dispose: { value: () => { listener.dispose(); changed.dispose(); } },
  }) as vscode.LogOutputChannel;
}
