// Read a structured report as OHIF does: `node --input-type=module - REPORT < ohif.mjs`, where npm's modules are.
//
// What reads is OHIF's own: its handler of structured reports, by which it draws them, and Cornerstone's adapters,
// by which it takes them over as its own measurements. Of the viewer around them there is only what these call.

import { readFileSync } from "node:fs";
import * as adapters from "@cornerstonejs/adapters";
import * as core from "@cornerstonejs/core";
import dcmjs from "dcmjs";
import * as glMatrix from "gl-matrix";

const print = console.log;
console.log = console.info = () => {}; // what the libraries say besides

const { MeasurementReport } = adapters.adaptersSR.Cornerstone3D;
const list = (value) => (value === undefined ? [] : [value].flat());
const report = readReport(process.argv[2]);
const images = list(report.CurrentRequestedProcedureEvidenceSequence)
  .flatMap((study) => list(study.ReferencedSeriesSequence))
  .flatMap((series) => list(series.ReferencedSOPSequence))
  .map((image) => image.ReferencedSOPInstanceUID);
core.metaData.addProvider((kind) => (kind === "imagePlaneModule" ? PLANE : undefined), 1000);

// A picture whose pixels are one unit apart: a corner of the picture lies half a unit before its first pixel.
const PLANE = {
  columnCosines: [0, 1, 0],
  columnPixelSpacing: 1,
  imagePositionPatient: [0, 0, 0],
  rowCosines: [1, 0, 0],
  rowPixelSpacing: 1,
};

const { drawn, canBeTakenOver } = await draw();
print(JSON.stringify({ drawn, takenOver: canBeTakenOver ? takeOver() : [] }));

function readReport(path) {
  const file = Uint8Array.from(readFileSync(path)).buffer;
  return dcmjs.data.DicomMetaDictionary.naturalizeDataset(dcmjs.data.DicomMessage.readFile(file).dict);
}

/** What OHIF draws over the pictures, and whether it offers to take that over. */
async function draw() {
  const annotations = [];
  const [handler] = ohif(annotations).getSopClassHandlerModule({
    extensionManager: { getDataSources: () => [{ getImageIdsForDisplaySet: () => images }] },
    servicesManager: {
      services: {
        customizationService: { getCustomization: () => undefined },
        displaySetService: { EVENTS: {}, activeDisplaySets: [{}], subscribe: () => {} },
        measurementService: { getSourceMappings: () => [{ annotationType: "PlanarFreehandROI" }] },
      },
    },
  });
  const [displaySet] = handler.getDisplaySetsFromSeries([report]);
  await displaySet.load();
  const drawn = annotations.map(({ data, metadata }) => ({
    image: metadata.referencedImageId,
    labels: data.labels.map(({ label, value }) => `${label} ${value}`),
    points: data.handles.points.map(([x, y]) => [x, y]),
  }));
  return { drawn, canBeTakenOver: displaySet.isRehydratable };
}

/** The measurements that OHIF makes of the report. */
function takeOver() {
  const places = Object.fromEntries(images.map((image) => [`${image}:1`, image]));
  return Object.entries(MeasurementReport.generateToolState(report, places, core.metaData)).flatMap(
    ([tool, states]) =>
      states.map(({ annotation, finding, sopInstanceUid }) => ({
        area: Object.values(annotation.data.cachedStats)[0].area,
        finding: finding.CodeMeaning,
        image: sopInstanceUid,
        isClosed: annotation.data.contour.closed,
        label: annotation.data.label,
        points: annotation.data.contour.polyline.map(([x, y]) => [x, y]),
        tool,
      })),
  );
}

/** OHIF's extension; what it draws is noted. */
function ohif(annotations) {
  const modules = {
    "@cornerstonejs/adapters": adapters,
    "@cornerstonejs/core": core,
    "@cornerstonejs/tools": absent({ annotation: { state: { addAnnotation: (each) => annotations.push(each) } } }),
    "@ohif/core": absent({
      classes: { MetadataProvider: { getUIDsFromImageID: (image) => ({ SOPInstanceUID: image }) } },
      utils: {
        guid: () => "",
        sopClassDictionary: { Comprehensive3DSR: "1.2.840.10008.5.1.4.1.1.88.34" },
        sortDisplaySetsCopy: (all) => all,
        sortStudyInstances: (all) => all,
      },
    }),
    "@ohif/extension-cornerstone": absent({ Enums: {} }),
    "gl-matrix": glMatrix,
  };
  const path = "node_modules/@ohif/extension-cornerstone-dicom-sr/dist/ohif-extension-cornerstone-dicom-sr.umd.js";
  const module = { exports: {} };
  const load = new Function("module", "exports", "require", readFileSync(path, "utf8"));
  load(module, module.exports, (name) => modules[name] ?? absent({}));
  return module.exports.default;
}

/** A module of which only `present` is called; whatever else is named can be named. */
function absent(present) {
  const nothing = class {};
  return new Proxy(present, { get: (known, name) => known[name] ?? (name === "__esModule" ? undefined : nothing) });
}
