import { drillTest } from "./taken/drill-test.ts";

drillTest("fetch-root");
