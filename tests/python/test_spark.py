"""octavo.spark on a real local Spark: a JVM, two Python workers."""
import json

import numpy as np
import pytest

import engines

TEXTS = [f"find me {'or me ' * (i % 7)}{i}" for i in range(500)]

HEAD = """
import json, os, sys
import numpy as np
from pyspark.sql import SparkSession
from pyspark.sql.functions import col, spark_partition_id, udf
import octavo
from octavo.spark import embed_udf

model, folder, texts = (json.loads(sys.argv[1])[k] for k in ("model", "folder", "texts"))
spark = (SparkSession.builder.master("local[2]").config("spark.ui.enabled", "false").config("spark.driver.host", "127.0.0.1")
         .config("spark.driver.bindAddress", "127.0.0.1").config("spark.driver.memory", "512m").config("spark.local.dir", folder)
         .config("spark.sql.shuffle.partitions", "2").config("spark.sql.execution.arrow.maxRecordsPerBatch", "64")
         .config("spark.sql.warehouse.dir", folder + "/warehouse").getOrCreate())
spark.sparkContext.setLogLevel("ERROR")
"""


@pytest.fixture
def run(model, tmp_path):
    python = engines.interpreter()

    def call(code):
        arguments = {"model": model, "folder": tmp_path, "texts": TEXTS}
        return engines.run(python, HEAD + code, arguments, tmp_path, environment={"PYSPARK_PYTHON": python})

    return call


def test_parquet_to_parquet(run, model, embed, tmp_path):
    """All rows that went in come out of a query over Parquet files, with the bits of octavo embed."""
    done = run("""
spark.createDataFrame(list(enumerate(texts)), "id int, text string").repartition(6).write.parquet(folder + "/in")
embed = embed_udf(model)
spark.read.parquet(folder + "/in").withColumn("embedding", embed("text")).write.parquet(folder + "/out")
out = spark.read.parquet(folder + "/out")
rows = out.orderBy("id").collect()
assert [(row.id, row.text) for row in rows] == list(enumerate(texts))
np.save(folder + "/vectors.npy", np.array([row.embedding for row in rows], np.float32))
print(json.dumps({"schema": out.schema["embedding"].dataType.simpleString(), "columns": out.columns}))
spark.stop()
""")
    expected = embed(model, TEXTS)
    got = np.load(tmp_path / "vectors.npy")
    assert got.shape == expected.shape and got.tobytes() == expected.tobytes()
    assert done == {"schema": "array<float>", "columns": ["id", "text", "embedding"]}


def test_options_and_nulls(run, model):
    """One model a worker process; options reach it, in a plain query and in SQL; a null stays one or is an error."""
    done = run("""
frame = spark.createDataFrame([(0, "one"), (1, None), (2, "three")], "id int, text string").repartition(1)
vectors = {row.id: row.v for row in frame.select("id", embed_udf(model, dtype="int8", dimensions=8)("text").alias("v")).collect()}
frame.createOrReplaceTempView("texts")
spark.udf.register("embed", embed_udf(model, threads=1))
joined = {row.id: row.v for row in spark.sql("select id, embed(text) as v from texts where text is not null").collect()}
prompted = frame.where("id = 2").select(embed_udf(model, prompt="say: ")("text").alias("v")).collect()
only = frame.where("text is null").select(embed_udf(model)("text").alias("v")).collect()
empty = frame.where("id > 9").select(embed_udf(model)("text").alias("v")).collect()

@udf("array<int>")
def mapped(_):
    # How often the packed weights are mapped into this worker.
    return [os.getpid(), sum(line.rstrip().endswith(".safetensors") for line in open("/proc/self/maps"))]

spark.range(400).repartition(8).select(embed_udf(model)(col("id").cast("string"))).collect()
seen = spark.range(400).repartition(8).select(mapped("id").alias("o")).collect()
said = {}
for name, call in {
    "nulls": lambda: frame.select(embed_udf(model, nulls="error")("text")).collect(),
    "model": lambda: frame.select(embed_udf(folder + "/no-model")("text")).collect(),
    "dtype": lambda: embed_udf(model, dtype="float16"),
    "option": lambda: embed_udf(model, dimension=8),
}.items():
    try:
        call()
        said[name] = ""
    except Exception as error:
        said[name] = f"{type(error).__name__} {error}"
want = octavo.Embedder(model)
print(json.dumps({"vectors": [vectors[i] for i in range(3)], "want": want.encode(["one", "three"], dtype="int8", dimensions=8).tolist(),
                  "sql": [joined[0], joined[2]], "plain": want.encode(["one", "three"]).astype(float).tolist(), "rows": sorted(joined),
                  "prompted": prompted[0].v, "say": want.encode("say: three").astype(float).tolist(),
                  "only": [row.v for row in only], "empty": empty, "mapped": [row.o for row in seen], "said": said}))
spark.stop()
""")
    assert done["vectors"] == [done["want"][0], None, done["want"][1]]
    assert done["sql"] == done["plain"] and done["rows"] == [0, 2]
    assert done["prompted"] == done["say"]
    assert done["only"] == [None] and done["empty"] == []
    # Whatever ran in a worker, and in however many tasks, it opened the model once; some worker may not have had such a task.
    assert len(done["mapped"]) == 400 and 1 in (counts := {count for _, count in done["mapped"]}) and counts <= {0, 1}
    said = done["said"]
    assert "1 nulls in a batch of" in said["nulls"] and "no-model" in said["model"]
    assert said["option"].startswith("TypeError there is no option 'dimension'")
    assert said["dtype"].startswith("UnsupportedError") and "float32, int8, binary" in said["dtype"]
