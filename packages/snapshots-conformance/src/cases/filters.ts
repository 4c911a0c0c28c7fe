import assert from "node:assert/strict";
import type { Snapshotter } from "@varve/snapshots";
import type { SnapshotterCase } from "../case.ts";
import { list, names, rejects } from "../material.ts";

const all = ["a", "aa", "active", "b", "bb", "view"];

/** What each list of filters lets through. */
const expected: readonly (readonly [filters: readonly string[], through: readonly string[]])[] = [
  [[], all],
  [[""], all],
  [["kind==active"], ["active", "bb"]],
  [["kind==view"], ["view"]],
  [["kind==committed"], ["a", "aa", "b"]],
  [["kind!=committed"], ["active", "bb", "view"]],
  [["name==a"], ["a"]],
  [["name~=^a"], ["a", "aa", "active"]],
  [["parent==a"], ["aa", "view"]],
  [['parent==""'], ["a", "b"]],
  [['parent!=""'], ["aa", "active", "bb", "view"]],
  [["labels.env"], ["aa", "active", "b"]],
  [["labels.env==prod"], ["aa", "b"]],
  [["labels.env!=prod"], ["a", "active", "bb", "view"]],
  [['labels."example.org/team"==x'], ["a", "aa"]],
  [["kind==committed,labels.env==prod"], ["aa", "b"]],
  [["kind==committed,labels.env==prod,parent==a"], ["aa"]],
  [
    ["name==bb", "kind==view", 'labels."example.org/team"==x'],
    ["a", "aa", "bb", "view"],
  ],
  [["kind==unknown"], []],
  [["name==nobody", "parent==nobody"], []],
  [["what-nobody-has==a"], []],
];

async function fill(snapshotter: Snapshotter): Promise<void> {
  const [prod, dev, team] = [{ env: "prod" }, { env: "dev" }, { "example.org/team": "x" }];
  await snapshotter.prepare("1", undefined);
  await snapshotter.commit("a", "1", { labels: team });
  await snapshotter.prepare("1", "a");
  await snapshotter.commit("aa", "1", { labels: { ...prod, ...team } });
  await snapshotter.prepare("1", undefined);
  await snapshotter.commit("b", "1", { labels: prod });
  await snapshotter.prepare("bb", "b");
  await snapshotter.prepare("active", "aa", { labels: dev });
  await snapshotter.view("view", "a");
}

export const filterCases: readonly SnapshotterCase[] = [
  {
    name: "a walk with filters gives what one of them lets through",
    rows: ["C-SN.8", "U-SN.7"],
    needs: [],
    async run({ open }) {
      const snapshotter = await open();
      await fill(snapshotter);
      for (const [filters, through] of expected) {
        assert.deepEqual(await names(snapshotter, filters), through, JSON.stringify(filters));
      }
      assert.deepEqual(await names(snapshotter), all);
    },
  },
  {
    name: "a walk with filters sees labels as they are now",
    rows: ["C-SN.8", "C-SN.6", "U-SN.7"],
    needs: [],
    async run({ open }) {
      const snapshotter = await open();
      await fill(snapshotter);
      await snapshotter.update("a", { env: "prod" });
      await snapshotter.update("b", { env: undefined });
      await snapshotter.update("active", { env: "prod" }, { replace: true });
      assert.deepEqual(await names(snapshotter, ["labels.env==prod"]), ["a", "aa", "active"]);
      for (const info of await list(snapshotter.walk({ filters: ["labels.env==prod"] }))) {
        assert.deepEqual(info, await snapshotter.stat(info.name));
      }
    },
  },
  {
    name: "a filter that cannot be read is refused before the first snapshot",
    rows: ["U-SN.7"],
    needs: [],
    async run({ open }) {
      const snapshotter = await open();
      await fill(snapshotter);
      for (const filter of ["name==", "labels.a b", "kind==active,", "name~=("]) {
        const first = async (): Promise<unknown> => {
          for await (const info of snapshotter.walk({ filters: ["kind==active", filter] })) return info;
          return undefined;
        };
        await rejects(first(), "ERR_INVALID_ARGUMENT", filter);
      }
    },
  },
];
