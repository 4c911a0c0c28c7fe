import { join } from "node:path";
import { buildOnce } from "../build-once.ts";
import { bash } from "../shell.ts";

const packages = [
  "typescript@5.9.3",
  "webpack@5",
  "webpack-cli@6",
  "react@19",
  "react-dom@19",
  "lodash@4",
  "@aws-sdk/client-s3@3",
  "@aws-sdk/client-dynamodb@3",
  "eslint@9",
  "date-fns@4",
  "rxjs@7.8.2",
  "@types/node@22",
  "core-js@3",
  "express@5",
  "jest@30",
];

/** Installs what an application might need: about 30,000 files. Resolves to the folder with `node_modules`. */
export async function installNpmModules(directory: string): Promise<string> {
  const folder = join(directory, "npm");
  await buildOnce(folder, () => bash(script, [folder, ...packages]));
  return folder;
}

const script = `
rm -rf "$1"
mkdir -p "$1"
cd "$1"
shift
echo '{ "name": "app", "version": "1.0.0", "private": true }' >package.json
npm install --ignore-scripts --no-audit --no-fund --loglevel=error "$@"
`;
