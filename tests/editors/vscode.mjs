/** Drives a real VS Code (code-server) in headless Chromium. Text is read from the saved file, never from the DOM: there, ghost text is mixed in. */

import { spawn, execFileSync } from 'node:child_process';
import fs from 'node:fs';
import http from 'node:http';
import net from 'node:net';
import path from 'node:path';
import { createRequire } from 'node:module';

const EDITORS = process.env.INFILL_EDITORS;
const require = createRequire(path.join(EDITORS, 'vscode/app/'));
const { chromium } = require('playwright-core');
const ENTRY = fs.readFileSync(path.join(EDITORS, 'vscode/entry'), 'utf8').trim();
const GHOST = '.ghost-text-decoration, .ghost-text-decoration-preview';

const reachable = (url) =>
  new Promise((resolve) => {
    http.get(url, (answer) => { answer.resume(); resolve(answer.statusCode === 200); }).on('error', () => resolve(false));
  });
const freePort = () =>
  new Promise((resolve) => {
    const server = net.createServer().listen(0, '127.0.0.1', () => { const { port } = server.address(); server.close(() => resolve(port)); });
  });

/** Wait for something true; the condition is asked every 50 ms until the deadline, which is far beyond what a busy machine takes. */
export async function until(condition, sentence, seconds = 60) {
  const deadline = Date.now() + seconds * 1000;
  for (;;) {
    const value = await condition();
    if (value) return value;
    if (Date.now() > deadline) throw new Error(`not within ${seconds} s: ${sentence}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** An empty folder, whatever an earlier run left there. */
export function emptied(folder) {
  fs.rmSync(folder, { recursive: true, force: true });
  fs.mkdirSync(folder, { recursive: true });
}

export class VSCode {
  /**
   * home: a fresh folder for everything; files: name -> text of the workspace; settings: the machine's; preferences: the person's;
   * environment: of the editor and all that it starts. Offline by default: then a new user is not asked whether to download a better model;
   * trusted: false where the workspace is one that the person has not said to trust.
   */
  static async start(home, files, { settings = {}, preferences = {}, environment = { HF_HUB_OFFLINE: '1' }, trusted = true } = {}) {
    const editor = new VSCode();
    editor.trusted = trusted;
    editor.home = home;
    editor.environment = environment;
    editor.workspace = path.join(home, 'workspace');
    for (const folder of ['data/User', 'data/Machine', 'extensions', 'workspace', 'home']) fs.mkdirSync(path.join(home, folder), { recursive: true });
    for (const [name, text] of Object.entries(files)) {
      fs.mkdirSync(path.dirname(path.join(editor.workspace, name)), { recursive: true });
      fs.writeFileSync(path.join(editor.workspace, name), text);
    }
    fs.writeFileSync(path.join(home, 'config.yaml'), 'auth: none\ncert: false\n');
    fs.writeFileSync(path.join(home, 'data/User/settings.json'), JSON.stringify({
      'editor.inlineSuggest.enabled': true, 'editor.quickSuggestions': { other: 'off', comments: 'off', strings: 'off' },
      'editor.suggestOnTriggerCharacters': false, 'editor.cursorBlinking': 'solid', 'editor.accessibilitySupport': 'off', 'editor.autoIndent': 'none',
      'workbench.startupEditor': 'none', 'workbench.tips.enabled': false, 'workbench.enableExperiments': false,
      'workbench.secondarySideBar.defaultVisibility': 'hidden', 'security.workspace.trust.enabled': !trusted,
      'security.workspace.trust.startupPrompt': 'never', 'security.workspace.trust.banner': 'never', 'telemetry.telemetryLevel': 'off',
      'update.mode': 'none', 'extensions.autoCheckUpdates': false, 'extensions.autoUpdate': false, 'chat.disableAIFeatures': true, 'git.enabled': false,
      // in a browser VS Code saves by itself after a second
      'files.autoSave': 'off',
      // every suggestion of the small bundled model is shown
      'infill.completion.eagerness': 'high', ...preferences,
    }));
    // as the extension's page proposes: the editor has no key of its own for this
    fs.writeFileSync(path.join(home, 'data/User/keybindings.json'), JSON.stringify([
      { key: 'ctrl+alt+right', command: 'editor.action.inlineSuggest.acceptNextLine', when: 'inlineSuggestionVisible && !editorReadonly' },
    ]));
    // code-server is a remote window: machine-scoped settings are taken from the remote machine's file alone
    fs.writeFileSync(path.join(home, 'data/Machine/settings.json'), JSON.stringify(settings));
    await editor.#launch();
    return editor;
  }

  async #launch() {
    const base = ['--config', path.join(this.home, 'config.yaml'), '--user-data-dir', path.join(this.home, 'data'), '--extensions-dir', path.join(this.home, 'extensions')];
    const env = {
      ...process.env, HOME: path.join(this.home, 'home'), INFILL_HOME: path.join(this.home, 'infill'), ...this.environment,
      // the gallery is asked at every start: a dead port answers at once
      EXTENSIONS_GALLERY: JSON.stringify({ serviceUrl: 'http://127.0.0.1:9', itemUrl: '', resourceUrlTemplate: '' }),
    };
    execFileSync(process.execPath, [ENTRY, ...base, '--install-extension', process.env.INFILL_VSIX], { env, stdio: 'ignore' });
    this.port = await freePort();
    const log = fs.openSync(path.join(this.home, 'code-server.log'), 'w');
    this.process = spawn(process.execPath, [ENTRY, ...base, '--bind-addr', `127.0.0.1:${this.port}`, '--auth', 'none', '--disable-telemetry', '--disable-update-check', ...(this.trusted ? ['--disable-workspace-trust'] : []), this.workspace], { env, stdio: ['ignore', log, log], detached: true });
    // whoever stops the tests must not leave an editor behind
    process.once('exit', () => this.#stop());
    for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(1));
    await until(() => reachable(`http://127.0.0.1:${this.port}/healthz`), 'code-server is up', 60);
    this.browser = await chromium.launch({
      executablePath: '/usr/bin/chromium', headless: true,
      args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync', '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1'],
    });
    this.page = await this.window();
  }

  /** Another window on the same workspace. */
  async window() {
    // service workers are let in: without one VS Code leaves every webview empty
    const context = await this.browser.newContext({ viewport: { width: 1180, height: 680 }, reducedMotion: 'reduce' });
    const page = await context.newPage();
    page.setDefaultTimeout(90_000);
    await page.goto(`http://127.0.0.1:${this.port}/?folder=${this.workspace}`);
    await page.waitForSelector('.monaco-workbench');
    return page;
  }

  /** Open a file of the workspace, the cursor at its end. */
  async open(name, page = this.page) {
    await page.locator('.explorer-folders-view .monaco-list-row', { hasText: name }).dblclick();
    await page.waitForSelector(`.tab.active:has-text("${name}")`);
    await page.locator(`.monaco-editor[data-uri$="/${name}"] .view-lines`).click();
    await this.focused(name, page);
    await page.keyboard.press('Control+End');
    const lines = fs.readFileSync(path.join(this.workspace, name), 'utf8').split('\n');
    await this.at(lines.length, lines.at(-1).length + 1, page);
  }

  /** Open a file by its name, or by its name and a line, without the mouse. */
  async goTo(name, place = '', page = this.page) {
    await page.keyboard.press('Control+p');
    await page.waitForSelector('.quick-input-widget input:focus');
    await page.keyboard.type(name, { delay: 5 });
    await page.locator(`.quick-input-list .monaco-list-row.focused:has-text("${name}")`).waitFor();
    await page.keyboard.type(place, { delay: 5 });
    await page.keyboard.press('Enter');
    await this.focused(name, page);
  }

  /** The keys go into this file. */
  focused(name, page = this.page) {
    return page.waitForSelector(`.monaco-editor.focused[data-uri$="${name}"]`);
  }

  /** The cursor is there, by the status bar. */
  at(line, column, page = this.page) {
    return page.locator('.statusbar-item[id="status.editor.selection"]').getByText(`Ln ${line}, Col ${column}`, { exact: true }).waitFor();
  }

  /** Our status bar item, once it has the text. */
  async status(text, page = this.page, seconds = 120) {
    const item = page.locator('.statusbar-item[id="infill.infill.infill.status"]', { hasText: text });
    await item.waitFor({ timeout: seconds * 1000 });
    return item;
  }

  /** The server has said how it is, whichever way that is. */
  async connected(page = this.page) {
    const item = await this.status('infill', page);
    await until(async () => !/starting|not running/.test(await item.innerText()), 'the server has spoken');
  }

  /** The process ids of this editor's servers. */
  servers() {
    const own = `INFILL_HOME=${path.join(this.home, 'infill')}`;
    const words = (pid, name) => fs.readFileSync(`/proc/${pid}/${name}`, 'utf8').split('\0');
    return fs.readdirSync('/proc').filter((name) => /^\d+$/.test(name)).map(Number).filter((pid) => {
      try {
        return words(pid, 'environ').includes(own) && words(pid, 'cmdline').includes('lsp');
      } catch {
        return false; // it has ended, or is somebody else's
      }
    });
  }

  /** Whether a running server was told that the workspace is trusted. */
  trusting() {
    return this.servers().some((pid) => fs.readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('--trust-workspace'));
  }

  #engineStatus() {
    const env = { ...process.env, INFILL_HOME: path.join(this.home, 'infill') };
    return JSON.parse(execFileSync(process.env.INFILL_SERVER, ['engine', 'status', '--json'], { env }).toString());
  }

  /** The engine's process id. */
  engine() {
    return this.#engineStatus().pid;
  }

  /** How many tokens the model holds of the file; 0 while it is reading. */
  tokens(name) {
    const { background, models } = this.#engineStatus();
    return background ? 0 : (models.flatMap((model) => model.slots ?? []).find(({ slot }) => slot.endsWith(`/${name}`))?.tokens ?? 0);
  }

  /** The first line of the ghost text on the screen; undefined: none. */
  async ghost(page = this.page) {
    const parts = await page.locator(GHOST).allInnerTexts();
    return parts.length === 0 ? undefined : parts.join('').replaceAll('\u00a0', ' ');
  }

  /** The ghost text, once it has stood still: a later answer may replace an earlier one, but not after a pause. */
  appears(page = this.page, seconds = 60) {
    let last;
    let since = 0;
    const still = async () => {
      const shown = await this.ghost(page);
      if (shown !== last) [last, since] = [shown, Date.now()];
      return shown !== undefined && Date.now() - since > 400 && shown;
    };
    return until(still, 'ghost text appears', seconds);
  }

  /** Type and wait for the suggestion. An engine that has just started may answer too late: then the last key is typed again, as a person would. */
  async ghostAfter(text, page = this.page) {
    await this.type(text, page);
    for (let tries = 1; ; tries++) {
      try {
        return await this.appears(page, 8);
      } catch (error) {
        if (tries === 8) throw error;
        await this.press('Backspace', page);
        await this.type(text.at(-1), page);
      }
    }
  }

  vanishes(page = this.page) {
    return until(async () => (await this.ghost(page)) === undefined, 'the ghost text is gone');
  }

  /** Take the ghost text; the next one may be there at once. */
  async take(ghost, page = this.page) {
    await this.press('Tab', page);
    await until(async () => (await this.ghost(page)) !== ghost, 'the suggestion was taken');
  }

  async type(text, page = this.page) {
    await page.keyboard.type(text, { delay: 15 });
  }

  press(key, page = this.page) {
    return page.keyboard.press(key);
  }

  /** An input at the top, ready for keys, that says this. */
  async asked(text, page = this.page) {
    await page.waitForSelector(`.quick-input-widget:has-text("${text}")`);
    await page.waitForSelector('.quick-input-widget input:focus');
  }

  async command(title, page = this.page) {
    await page.keyboard.press('F1');
    await page.waitForSelector('.quick-input-widget input:focus');
    await page.keyboard.type(title, { delay: 5 });
    await this.#choose(page.locator('.quick-input-list .monaco-list-row').filter({ has: page.getByText(title, { exact: true }) }).first(), page);
  }

  /** Go to a row of an open quick pick and choose it, by keyboard: a tooltip may lie over what the mouse would press. */
  async #choose(row, page) {
    await page.mouse.move(24, 480); // where nothing has a tooltip
    await row.waitFor();
    let since;
    const focused = async () => {
      if (!(await row.getAttribute('class')).includes('focused')) {
        since = undefined;
        await page.keyboard.press('ArrowDown');
        return false;
      }
      since ??= Date.now();
      return Date.now() - since > 100; // the list may still be filling
    };
    await until(focused, 'the row has the focus');
    await page.keyboard.press('Enter');
    await row.waitFor({ state: 'hidden' });
  }

  /** Choose the entry of an open quick pick that contains the text. */
  async pick(text, page = this.page) {
    await this.#choose(page.locator(`.quick-input-list .monaco-list-row:has-text("${text}")`).first(), page);
  }

  /** Save the file, which must have been changed; its text on the disk. */
  async saved(name, page = this.page) {
    const file = path.join(this.workspace, name);
    const before = fs.statSync(file).mtimeMs;
    await page.waitForSelector(`.tab.active.dirty:has-text("${name}")`);
    await page.keyboard.press('Control+s');
    // the file is emptied, then written: only the tab's mark says that it is whole
    const whole = async () => fs.statSync(file).mtimeMs > before && !(await page.locator('.tab.active.dirty').count()) && fs.readFileSync(file, 'utf8');
    return until(whole, `${name} is saved`);
  }

  /** The notification that contains the text. */
  toast(text, page = this.page) {
    return page.locator(`.notifications-toasts .notification-list-item:has-text("${text}")`).first();
  }

  /** Press a button of a notification that contains the text. */
  async answer(text, button, page = this.page) {
    const toast = this.toast(text, page);
    await page.mouse.move(24, 480); // no tooltip lies over it
    await toast.hover();
    await toast.locator(`.monaco-button:has-text("${button}")`).click();
  }

  /** What a webview shows. */
  webview(page = this.page) {
    return page.frameLocator('iframe.webview.ready').frameLocator('#active-frame');
  }

  screenshot(name, page = this.page) {
    return page.screenshot({ path: path.join(this.home, `${name}.png`) });
  }

  #stop() {
    try { process.kill(-this.process.pid, 'SIGTERM'); } catch { /* already gone */ }
  }

  async close() {
    await this.browser?.close();
    this.#stop();
    // the engine outlives its editors by design, for a while
    const env = { ...process.env, INFILL_HOME: path.join(this.home, 'infill') };
    if (process.env.INFILL_SERVER) try { execFileSync(process.env.INFILL_SERVER, ['engine', 'stop'], { env, stdio: 'ignore' }); } catch { /* none ran */ }
  }
}
