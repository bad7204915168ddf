/** Which suggestions were on the screen: the stable API tells only of those that were taken. Pure: knows nothing of the editor. */

export class Shown {
  private last = '';

  /** Whether this is another suggestion than the last one: typed through, a suggestion stays the same and only gets shorter. */
  isNew(text: string): boolean {
    const again = this.last.endsWith(text);
    this.last = text;
    return !again;
  }
}
