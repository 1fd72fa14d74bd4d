// A chart of counts by time. Its numbers are in a table below it, for people who cannot see the picture.

import { useEffect, useRef } from "preact/hooks";
import { useComputed, useSignal, useSignalEffect } from "@preact/signals";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import "./chart.css";
import { Table } from "./table";
import { theme } from "./theme";
import { Time } from "./time";

export interface Line {
  name: string;
  counts: number[];
}

interface Props {
  title: string;
  times: string[];
  // At most as many as there are line styles in `chart.css`.
  lines: Line[];
}

const HEIGHT = 180;
// Lines differ in their dashes too, for people who cannot distinguish their colours.
const DASHES = [[], [8, 4], [2, 3], [12, 3, 2, 3], [4, 8]];
const DARK = window.matchMedia("(prefers-color-scheme: dark)");

export function Chart({ title, times, lines }: Props) {
  const place = useRef<HTMLDivElement>(null);
  const width = useSignal(0);
  const isDark = useSignal(DARK.matches);
  const data = useSignal({ times, lines });
  data.value = { times, lines };
  const names = useComputed(() => data.value.lines.map(({ name }) => name).join("\n"));
  const plot = useRef<uPlot | null>(null);
  useEffect(() => {
    const measure = new ResizeObserver(([entry]) => (width.value = Math.floor(entry?.contentRect.width ?? 0)));
    const changeTheme = () => (isDark.value = DARK.matches);
    if (place.current) measure.observe(place.current);
    DARK.addEventListener("change", changeTheme);
    return () => {
      measure.disconnect();
      DARK.removeEventListener("change", changeTheme);
      plot.current?.destroy();
    };
  }, []);
  // Another width, another theme and other lines need another plot: all of them are read here, so that this runs again.
  useSignalEffect(() => {
    const needs = { width: width.value, theme: theme.value, isDark: isDark.value, names: names.value };
    plot.current?.destroy();
    plot.current = null;
    if (!place.current || needs.width === 0) return;
    const { lines } = data.peek();
    plot.current = new uPlot(options(place.current, needs.width, lines), numbers(data.peek()), place.current);
  });
  useSignalEffect(() => plot.current?.setData(numbers(data.value)));
  return (
    <figure class="chart">
      <figcaption>
        {title}:{" "}
        {lines.map(({ name, counts }, index) => (
          <span key={name} class={`line line-${index + 1}`}>
            {name} {sum(counts).toLocaleString()}
          </span>
        ))}
      </figcaption>
      <div ref={place} class="plot" aria-hidden="true" />
      <details>
        <summary>Numbers of “{title}”</summary>
        <Table
          label={`Numbers of “${title}”`}
          summary="Counts by time"
          columns={["From", ...lines.map(({ name }) => name)]}
          frameClass="numbers"
        >
          {times.map((time, index) => (
            <tr key={time}>
              <th scope="row">
                <Time at={time} />
              </th>
              {lines.map(({ name, counts }) => (
                <td key={name}>{counts[index]}</td>
              ))}
            </tr>
          ))}
        </Table>
      </details>
    </figure>
  );
}

function sum(counts: number[]): number {
  return counts.reduce((total, count) => total + count, 0);
}

function numbers({ times, lines }: { times: string[]; lines: Line[] }): uPlot.AlignedData {
  return [times.map((time) => Date.parse(time) / 1000), ...lines.map(({ counts }) => counts)];
}

function options(element: HTMLElement, width: number, lines: Line[]): uPlot.Options {
  const text = colour(element, "--text");
  const axis = { stroke: text, grid: { stroke: colour(element, "--line"), width: 1 }, ticks: { show: false } };
  const count: uPlot.Axis = {
    ...axis,
    size: 60,
    incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 100_000, 1_000_000],
  };
  const series = lines.map(({ name }, index) => ({
    label: name,
    stroke: colour(element, `--line-${index + 1}`),
    dash: DASHES[index] ?? [],
    width: 2,
    points: { show: false },
  }));
  return {
    width,
    height: HEIGHT,
    legend: { show: false },
    cursor: { show: false },
    scales: { y: { range: (_, __, most) => [0, Math.max(most, 1)] } },
    axes: [axis, count],
    series: [{}, ...series],
  };
}

// Returns a colour of the theme as the canvas takes it.
function colour(element: HTMLElement, property: string): string {
  const probe = document.createElement("span");
  element.append(probe);
  probe.style.color = `var(${property})`;
  const { color } = getComputedStyle(probe);
  probe.remove();
  return color;
}
