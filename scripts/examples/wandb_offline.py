#!/usr/bin/env python3
"""Puts a run folder into Weights & Biases without a network: wandb_offline.py RUN; later `wandb sync wandb/offline-*`."""
import json, sys
from pathlib import Path
import wandb, yaml

folder = Path(sys.argv[1])
run = wandb.init(project="spectral-gan", name=folder.name, mode="offline", config=yaml.safe_load((folder / "config.yaml").read_text()))
for line in (folder / "metrics.jsonl").read_text().splitlines():
    point = json.loads(line)
    grid = folder / f"samples/step-{point['step']:08}.png"
    run.log(point | ({"samples": wandb.Image(str(grid))} if grid.exists() else {}), step=point["step"])
run.finish()
