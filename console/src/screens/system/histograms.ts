// Histograms in the text format of Prometheus.

const BUCKET = /^(\w+)_bucket\{(.*)\} (\S+)$/;
const LABEL = /(\w+)="((?:[^"\\]|\\.)*)"/g;

export interface Histogram {
  // The other labels, such as the name of a plugin.
  name: string;
  // The upper bound of each bucket in ascending order, and the number of values up to it.
  buckets: [number, number][];
}

// Returns the histograms of a metric, by its labels.
export function histograms(text: string, metric: string): Histogram[] {
  const found = new Map<string, [number, number][]>();
  for (const line of text.split("\n")) {
    const [, name, labels, count] = BUCKET.exec(line) ?? [];
    if (name !== metric || labels === undefined) continue;
    const all = [...labels.matchAll(LABEL)];
    const bound = all.find(([, label]) => label === "le")?.[2] ?? "";
    const of = all.filter(([, label]) => label !== "le").map(([, , value]) => value);
    const key = of.join(", ");
    const buckets = found.get(key) ?? [];
    buckets.push([bound === "+Inf" ? Infinity : Number(bound), Number(count)]);
    found.set(key, buckets);
  }
  return [...found].map(([name, buckets]) => ({ name, buckets: buckets.sort(([one], [other]) => one - other) }));
}

export function count({ buckets }: Histogram): number {
  return buckets.at(-1)?.[1] ?? 0;
}

// Returns a bound in seconds that this share of the values does not exceed: Infinity if only the last bucket has them.
export function bound(histogram: Histogram, share: number): number {
  const wanted = count(histogram) * share;
  return histogram.buckets.find(([, below]) => below >= wanted)?.[0] ?? Infinity;
}
