// The same objects by cdk8s programs in JavaScript: an App for each environment, a Chart for each file. They get the
// objects as data, so nothing of their time is the work of finding out what is in them.
//
//   node peer.mjs kinds OBJECTS OUT   core kinds by their classes in cdk8s-plus-28, as a program is usually written
//   node peer.mjs plain OBJECTS OUT   every object as an ApiObject: the least that cdk8s can do
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { ApiObject, App, Chart } from "cdk8s";

const [mode, objects, out] = process.argv.slice(2);
const { k8s } = mode === "kinds" ? await import("cdk8s-plus-28") : { k8s: {} };

for (const [environment, files] of Object.entries(JSON.parse(readFileSync(objects, "utf8")))) {
  const app = new App({ outdir: join(out, environment) });
  for (const [file, manifests] of Object.entries(files)) {
    const chart = new Chart(app, file, { disableResourceNameHashes: true });
    manifests.forEach((manifest, index) => {
      const { apiVersion, kind, ...props } = manifest;
      const Kind = k8s[`Kube${kind}`];
      if (Kind) new Kind(chart, `${index}`, props);
      else new ApiObject(chart, `${index}`, manifest);
    });
  }
  app.synth();
}
