import { Article, Price } from "./article";

export interface Line {
  article: Article;
  count: number;
}

const SEPARATOR = /[,;]\s*/g;
const QUOTED = /^"([^"]*)"$/;

/** What a customer is about to buy. */
export class Cart {
  private lines: Map<string, Line> = new Map();

  constructor(private readonly currency: string = "EUR") {}

  add(article: Article, count = 1): this {
    const known = this.lines.get(article.id);
    if (known) {
      known.count += count;
    } else {
      this.lines.set(article.id, { article, count });
    }
    return this; // so that calls can be chained (a.add(b).add(c))
  }

  total(discount: (price: Price) => Price = (price) => price): number {
    let sum = 0;
    for (const { article, count } of this.lines.values()) {
      sum += discount(article.price).amount * count;
    }
    return Math.round(sum * 100) / 100;
  }

  toString(): string {
    const rows = [...this.lines.values()].map((line) => `${line.count} x ${line.article.name}`);
    return `${rows.join(", ")}: ${this.total()} ${this.currency}`;
  }
}

export function parse(text: string): string[] {
  return text
    .split(SEPARATOR)
    .map((part) => part.replace(QUOTED, "$1"))
    .filter((part) => part.length > 0 && !/^[(\[]/.test(part))
    .sort((a, b) => compare(a, b /* by name) */, true));
}

export async function load(url: string, retries = 3): Promise<Cart> {
  const response = await fetch(`${url}/cart?retries=${retries}`, { headers: { accept: "application/json" } });
  if (!response.ok) {
    throw new Error(`loading failed (${response.status})`);
  }
  const cart = new Cart();
  for (const { article, count } of (await response.json()) as Line[]) {
    cart.add(article, count);
  }
  return cart;
}
