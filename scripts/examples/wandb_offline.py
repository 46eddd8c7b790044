#!/usr/bin/env python3
"""Puts a run folder into Weights & Biases without a network: wandb_offline.py RUN; later `wandb sync wandb/offline-*`."""
import collections, json, sys
from pathlib import Path
import wandb, yaml

folder = Path(sys.argv[1])
points = collections.defaultdict(dict)  # by step
for line in (folder / "metrics.jsonl").read_text().splitlines():
    point = json.loads(line)
    points[point["step"]] |= point
for path in sorted(folder.glob("evaluation/step-*.json")):
    scores = json.loads(path.read_text()).get("scores", {})
    points[int(path.stem.split("-")[1])] |= {f"scores/{name}": score["value"] for name, score in scores.items()}
for path in folder.glob("samples/step-*.png"):
    points[int(path.stem.split("-")[1])]["samples"] = wandb.Image(str(path))
run = wandb.init(project="spectral-gan", name=folder.name, mode="offline", config=yaml.safe_load((folder / "config.yaml").read_text()))
for step in sorted(points):
    run.log(points[step], step=step)
run.finish()
