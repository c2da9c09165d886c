# Reads a page of metrics with Prometheus's own parser, and says what is wrong with it.
# `cargo xtask test --only metrics` runs it.
import sys

from prometheus_client.parser import text_fd_to_metric_families

with open(sys.argv[1], encoding="utf-8") as page:
    families = list(text_fd_to_metric_families(page))

problems = []
seen = set()
for family in families:
    if family.type not in ("counter", "gauge", "histogram"):
        problems.append(f"{family.name} is of type {family.type}: a sample without its TYPE line")
    if not family.documentation:
        problems.append(f"{family.name} has no help")
    if not family.samples:
        problems.append(f"{family.name} has no sample")
    buckets = {}
    for sample in family.samples:
        series = (sample.name, tuple(sorted(sample.labels.items())))
        if series in seen:
            problems.append(f"{series} twice")
        seen.add(series)
        if sample.name.endswith("_bucket") and family.type == "histogram":
            labels = {name: value for name, value in sample.labels.items() if name != "le"}
            counts = buckets.setdefault(tuple(sorted(labels.items())), [])
            counts.append((float(sample.labels["le"]), sample.value))
    for labels, counts in buckets.items():
        if counts != sorted(counts) or [n for _, n in counts] != sorted(n for _, n in counts):
            problems.append(f"{family.name}{labels}: buckets do not grow")
        total = {s.value for s in family.samples
                 if s.name.endswith("_count") and tuple(sorted(s.labels.items())) == labels}
        if counts[-1][0] != float("inf") or total != {counts[-1][1]}:
            problems.append(f"{family.name}{labels}: the last bucket does not hold all")

# What was escaped comes back as it was meant.
if not any(sample.labels.get("lun") == 'ds"1' for family in families for sample in family.samples):
    problems.append('no logical unit is called ds"1')

print(f"{len(families)} metrics, {len(seen)} series")
sys.exit("\n".join(problems) or None)
