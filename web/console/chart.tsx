/* SPDX-License-Identifier: Apache-2.0
 *
 * chart.tsx - uPlot in the console's colours, and the bar that shows an interval.
 */
import { useEffect, useRef } from "preact/hooks";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { READER, signed } from "./words";

/* A canvas needs a colour as it comes out, not as it is written. */
function colour(name: string): string {
    const probe = document.createElement("i");
    probe.style.color = `var(${name})`;
    document.body.append(probe);
    const value = getComputedStyle(probe).color;
    probe.remove();
    return value;
}

const tick = (at: number, step: number) =>
    step >= 86400
        ? new Date(at * 1000).toLocaleDateString(READER, { day: "numeric", month: "short" })
        : new Date(at * 1000).toLocaleTimeString(READER, {
              hour: "2-digit",
              minute: "2-digit",
              second: step < 60 ? "2-digit" : undefined,
          });

export interface Line {
    name: string;
    values: (number | null)[];
}

/** Lines over time (seconds since 1970, ascending). The box has its height before there is data. */
export function Chart({
    at,
    lines,
    height = 220,
    format,
    fill,
    label,
}: {
    at: number[];
    lines: Line[];
    height?: number;
    format?: (v: number) => string;
    fill?: boolean;
    label: string;
}) {
    const box = useRef<HTMLDivElement>(null);
    const plot = useRef<uPlot | null>(null);
    const shape = lines.map((l) => l.name).join("|");
    const data = [at, ...lines.map((l) => l.values)] as uPlot.AlignedData;
    const latest = useRef(data);
    latest.current = data;

    useEffect(() => {
        const node = box.current!;
        const make = () => {
            plot.current?.destroy();
            const soft = colour("--ink-faint");
            const axis = {
                stroke: soft,
                grid: { stroke: colour("--line"), width: 1 },
                ticks: { show: false },
                font: "12px system-ui",
            };
            plot.current = new uPlot(
                {
                    width: node.clientWidth,
                    height,
                    legend: { show: false },
                    padding: [12, 30, 0, 0],
                    cursor: { y: false, points: { size: 7 } },
                    scales: { y: { range: (_u, _min, max) => [0, max > 0 ? max * 1.1 : 1] } },
                    axes: [
                        {
                            ...axis,
                            grid: { show: false },
                            space: 80,
                            size: 30,
                            values: (_u, at, _i, _s, step) => at.map((t) => tick(t, step)),
                        },
                        {
                            ...axis,
                            size: 58,
                            values: (_u, values) => values.map((v) => (format ? format(v) : String(v))),
                        },
                    ],
                    series: [
                        {},
                        ...lines.map((l, i) => {
                            const stroke = colour(`--chart-${(i % 5) + 1}`);
                            return {
                                label: l.name,
                                stroke,
                                width: 2,
                                points: { show: false },
                                spanGaps: true,
                                fill: fill
                                    ? stroke.replace("rgb(", "rgba(").replace(")", ", .12)")
                                    : undefined,
                            };
                        }),
                    ],
                },
                latest.current,
                node,
            );
        };
        make();
        const size = new ResizeObserver(() =>
            plot.current?.setSize({ width: node.clientWidth, height }),
        );
        size.observe(node);
        const dark = matchMedia("(prefers-color-scheme: dark)");
        dark.addEventListener("change", make);
        addEventListener("opmaat:theme", make);
        return () => {
            size.disconnect();
            dark.removeEventListener("change", make);
            removeEventListener("opmaat:theme", make);
            plot.current?.destroy();
            plot.current = null;
        };
    }, [shape, height]);
    useEffect(() => {
        plot.current?.setData(data);
    }, [data]);
    return (
        <div class="plot" ref={box} style={{ height: `${height}px` }} role="img" aria-label={label} />
    );
}

export const Legend = ({ names }: { names: string[] }) => (
    <div class="legend">
        {names.map((n, i) => (
            <span key={n}>
                <i style={{ background: `var(--chart-${(i % 5) + 1})` }} />
                {n}
            </span>
        ))}
    </div>
);

export interface Relative {
    relative: number;
    low: number;
    high: number;
    significant: boolean;
}

/** An estimate and its interval on a line with zero in the middle, all rows of a table on one scale. */
export function Interval({ of, reach, says = signed }: { of: Relative; reach: number; says?: (x: number) => string }) {
    const x = (v: number) => 50 + 48 * Math.max(-1, Math.min(1, v / (reach || 1)));
    const tone = of.significant ? (of.relative > 0 ? "var(--good)" : "var(--bad)") : "var(--chart-5)";
    return (
        <svg
            class="interval"
            viewBox="0 0 100 10"
            preserveAspectRatio="none"
            role="img"
            aria-label={`${says(of.relative)}, between ${says(of.low)} and ${says(of.high)}`}
        >
            <line
                x1="50"
                x2="50"
                y1="0"
                y2="10"
                stroke="var(--line-strong)"
                stroke-width="1"
                vector-effect="non-scaling-stroke"
            />
            <rect
                x={x(of.low)}
                width={Math.max(0.6, x(of.high) - x(of.low))}
                y="3"
                height="4"
                rx="1"
                fill={tone}
                opacity=".28"
            />
            <rect x={x(of.relative) - 0.5} width="1" y="1.6" height="6.8" rx=".3" fill={tone} />
        </svg>
    );
}

/** A lift and its interval as they stood day by day: a band that narrows around a line, and where nothing would be. */
export function Band({
    days,
    reach,
    label,
}: {
    days: { at: string; relative: number; low: number; high: number }[];
    reach: number;
    label: string;
}) {
    const width = 1000;
    const x = (i: number) => (days.length < 2 ? width / 2 : (i * width) / (days.length - 1));
    const y = (v: number) => 50 - 46 * Math.max(-1, Math.min(1, v / (reach || 1)));
    const points = (of: (d: (typeof days)[number]) => number) =>
        days.map((d, i) => `${x(i).toFixed(1)},${y(of(d)).toFixed(2)}`);
    const last = days[days.length - 1];
    const tone =
        last.low > 0 ? "var(--good)" : last.high < 0 ? "var(--bad)" : "var(--chart-1)";
    const line = { "vector-effect": "non-scaling-stroke", fill: "none" } as const;
    return (
        <svg
            viewBox={`0 0 ${width} 100`}
            preserveAspectRatio="none"
            style={{ width: "100%", height: "180px", display: "block" }}
            role="img"
            aria-label={label}
        >
            <polygon
                points={[...points((d) => d.high), ...points((d) => d.low).reverse()].join(" ")}
                fill={tone}
                opacity=".18"
            />
            <line x1="0" x2={width} y1="50" y2="50" stroke="var(--line-strong)" {...line} />
            <polyline points={points((d) => d.relative).join(" ")} stroke={tone} stroke-width="2" {...line} />
        </svg>
    );
}
