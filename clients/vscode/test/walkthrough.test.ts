import assert from 'node:assert/strict';
import { test } from 'node:test';
import { confirmServer } from '../src/walkthrough';
import { executed, tabsChanged } from './vscode';

const settled = (): Promise<void> => new Promise((resolve) => { setImmediate(resolve); });
const pulses = (): unknown[] => executed.filter(([command, key]) => command === 'setContext' && key === 'infill.confirmed').map(([, , value]) => value);

test('a walkthrough that is opened after the server started gets an event that ticks its first step, each time', async () => {
  executed.length = 0;
  const listener = confirmServer({ running: true });
  tabsChanged.fire({ opened: [{ input: undefined }], changed: [], closed: [] });
  await settled();
  assert.deepEqual(pulses(), [true, false]);
  tabsChanged.fire({ opened: [{ input: undefined }], changed: [], closed: [] });
  await settled();
  assert.deepEqual(pulses(), [true, false, true, false]);
  listener.dispose();
});

test('nothing is ticked without a server or for an ordinary file', async () => {
  executed.length = 0;
  const listeners = [confirmServer({ running: false })];
  tabsChanged.fire({ opened: [{ input: undefined }], changed: [], closed: [] });
  listeners.push(confirmServer({ running: true }));
  tabsChanged.fire({ opened: [{ input: {} }], changed: [], closed: [] });
  await settled();
  assert.deepEqual(pulses(), []);
  for (const listener of listeners) listener.dispose();
});
