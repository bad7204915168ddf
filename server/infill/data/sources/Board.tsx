import React, { useEffect, useState } from "react";

type Props = { title: string; items: string[]; onPick?: (item: string) => void };

export function Board({ title, items, onPick }: Props) {
  const [filter, setFilter] = useState("");
  const [picked, setPicked] = useState<string | null>(null);
  const shown = items.filter((item) => item.toLowerCase().includes(filter));

  useEffect(() => {
    document.title = `${title} (${shown.length})`;
  }, [title, shown.length]);

  const pick = (item: string) => {
    setPicked(item);
    onPick?.(item);
  };

  return (
    <section className="board" aria-label={title}>
      <h2>{title}</h2>
      <input value={filter} onChange={(event) => setFilter(event.target.value.trim())} />
      <ul className="items">
        {shown.map((item) => (
          <li key={item} className={item === picked ? "picked" : "plain"} onClick={() => pick(item)}>
            <span title={`pick ${item}`}>{item}</span>
          </li>
        ))}
      </ul>
      <a href="https://example.org/help" rel="noreferrer">Help</a>
      <button disabled={!picked} onClick={() => setPicked(null)}>Clear</button>
    </section>
  );
}
