// The same objects by a cdk8s program in JavaScript: an App for each environment, a Chart for each file, an ApiObject
// for each object. It gets the objects as data, so nothing of it is the work of finding out what is in them.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { ApiObject, App, Chart } from "cdk8s";

const [objects, out] = process.argv.slice(2);
for (const [environment, files] of Object.entries(JSON.parse(readFileSync(objects, "utf8")))) {
  const app = new App({ outdir: join(out, environment) });
  for (const [file, manifests] of Object.entries(files)) {
    const chart = new Chart(app, file, { disableResourceNameHashes: true });
    manifests.forEach((manifest, index) => new ApiObject(chart, `${index}`, manifest));
  }
  app.synth();
}
