import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { LogOutputChannel } from 'vscode';
import { selectedPython } from '../src/find';
import { installed } from './vscode';

test('a Python extension that fails to start is logged, and the search for the server goes on', async () => {
  const logged: string[] = [];
  const log = { info: (text: string) => logged.push(text) } as unknown as LogOutputChannel;
  installed['ms-python.python'] = { isActive: false, activate: () => Promise.reject(new Error('it is broken')) };
  assert.equal(await selectedPython(log), undefined);
  assert.match(logged.join(), /it is broken/);
  installed['ms-python.python'] = { isActive: true, exports: { environments: { getActiveEnvironmentPath: () => { throw new Error('another interface'); } } } };
  assert.equal(await selectedPython(log), undefined);
  delete installed['ms-python.python'];
});
