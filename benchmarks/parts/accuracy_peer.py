"""Run by the peers' own interpreter: learns each block's Parquet file and writes margins. Imports nothing of ours."""

import json
import logging
import shutil
import sys
import warnings
from pathlib import Path
from time import perf_counter

import numpy as np
import pandas as pd
from autogluon.tabular import TabularPredictor
from catboost import CatBoostClassifier, Pool

ROUNDS = (50, 100, 200, 300)


def main(folder: Path, blocks: int, seconds_a_block: float) -> None:
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    spent = {"CatBoost": 0.0, "AutoGluon": 0.0}
    for number in range(blocks):
        learn = pd.read_parquet(folder / f"{number}.learn.parquet")
        ask = pd.read_parquet(folder / f"{number}.ask.parquet")
        category = json.loads((folder / f"{number}.json").read_text())["category"]
        for frame in (learn, ask):
            for name in category:
                frame[name] = frame[name].map(lambda code: "null" if code != code else str(int(code)))
        failed = learn.pop("failed").astype(int)
        for name in spent:
            start = perf_counter()
            if name == "CatBoost":
                margins = catboost(learn, failed, ask, category, folder / "catboost")
            else:
                margins = autogluon(learn, failed, ask, folder / "autogluon", seconds_a_block)
            spent[name] += perf_counter() - start
            np.save(folder / f"{number}.{name}.npy", margins)
    (folder / "seconds.json").write_text(json.dumps(spent))


def catboost(learn, failed, ask, category, path):
    """Its own defaults; the number of trees is chosen as ours is."""
    model = CatBoostClassifier(
        iterations=max(ROUNDS), thread_count=1, random_seed=0, verbose=False, train_dir=str(path)
    )
    model.fit(Pool(learn, failed, cat_features=category))
    asked = Pool(ask, cat_features=category)
    return np.stack(
        [model.predict(asked, prediction_type="RawFormulaVal", ntree_end=number) for number in ROUNDS], axis=1
    )


def autogluon(learn, failed, ask, path, seconds):
    """Its ensemble under the time it is given."""
    shutil.rmtree(path, ignore_errors=True)
    predictor = TabularPredictor("failed", problem_type="binary", eval_metric="log_loss", path=str(path), verbosity=0)
    predictor.fit(
        learn.assign(failed=failed),
        time_limit=seconds,
        presets="medium_quality",
        num_cpus=1,
        raise_on_no_models_fitted=True,
    )
    risk = np.clip(predictor.predict_proba(ask)[1].to_numpy(dtype=float), 1e-9, 1 - 1e-9)
    return np.log(risk / (1 - risk))[:, None]


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]))
