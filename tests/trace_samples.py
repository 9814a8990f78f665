"""One small data set of every format, in its published layout, made up here; `write` puts one into a folder."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

LEVELS = ",".join(f"percentile_Average_{level}" for level in (0, 1, 25, 50, 75, 99, 100))

SAMPLES: dict[str, dict[str, str]] = {
    "contest": {
        "requests": '{"metaKey": "f", "startTime": 1000, "durationsInMs": 20, "statusCode": 200}\n'
        '{"metaKey": "g", "startTime": 1500, "durationsInMs": 30, "statusCode": 500}\n',
        "metas": '{"key": "f", "runtime": "go", "timeoutInSecs": 60, "memoryInMb": 128, "initDurationInMs": 50}\n'
        '{"key": "g", "runtime": "", "timeoutInSecs": 60, "memoryInMb": 512, "initDurationInMs": 900}\n',
    },
    "azure2019": {
        "invocations_per_function_md.anon.d01.csv": "HashOwner,HashApp,HashFunction,Trigger,1,2\n"
        "o,a,f,http,2,0\no,a,g,timer,1,3\n",
        "function_durations_percentiles.anon.d01.csv": f"HashOwner,HashApp,HashFunction,{LEVELS}\n"
        "o,a,f,1,2,3,4,5,6,7\no,a,g,0,0,10,10,20,30,1e3\n",
        "app_memory_percentiles.anon.d01.csv": "HashOwner,HashApp,AverageAllocatedMb\no,a,100.5\n",
    },
    "azure2021": {
        "trace.csv": "app,func,end_timestamp,duration\na,f,10.5,0.25\na,g,12.0,2.0\nb,f,12.5,0.125\n",
    },
    "azure-llm": {
        "code.csv": "TIMESTAMP,ContextTokens,GeneratedTokens\n"
        "2023-11-16 18:17:03.9799600,4808,10\n2023-11-16 18:17:04.0319600,3180,8\n",
        "conv.csv": "TIMESTAMP,ContextTokens,GeneratedTokens\n2024-05-10 00:00:00.009930+00:00,374,44\n",
    },
    "huawei2023": {
        "requests_minute/day_000.csv": "day,time,28,33\n0,0,3.0,\n0,60,0.0,2.0\n",
        "function_delay_minute/day_000.csv": "day,time,28,33\n0,0,40.0,\n0,60,,75.5\n",
        "memory_limit_minute/day_000.csv": "day,time,28,33\n0,0,512.0,\n0,60,768.0,300.0\n",
        "instances_minute/day_000.csv": "day,time,28,33\n0,0,2.0,\n0,60,3.0,1.0\n",
    },
    "huawei2025": {
        "R2_00000.csv": "time_worker,time_frontend,requestID,clusterName,funcName,podID,userID,totalCost_worker,"
        "workerCost\n"
        "100.5,100.501,aa,1,296,pool22-300-128-0000618412,224,0.5,0.1\n"
        "101.0,101.001,ab,1,400,pool24-600-512-0000000001,418,0.25,0.1\n",
        "day_00.csv": "day,time,clusterName,funcName,userID,requestID,totalCost_cold_start,podAllocationCost,"
        "deployCodeCost,deployDependencyCost,schedulingCost,podID\n"
        "0,1.0,1,296,224,aa,3.0,1.0,0.5,0.5,1.0,pool22-300-128-0000618412\n"
        "0,2.0,1,296,224,ab,1.0,0.25,0.25,0.0,0.5,pool22-300-128-0000618413\n"
        "0,3.0,1,296,224,ac,2.0,0.5,0.5,0.25,0.75,pool22-300-128-0000618414\n",
        "df_funcID_runtime_triggerType.csv": "funcID,cpu_request,runtime,triggerType-invocationType\n"
        "296---224---pool22-300-128,100,Python3,workflow-S\n",
    },
    "genai2026": {
        "lora_request_trace.csv": "gmt_create,predict_type,predict_status,exec_time_seconds,groupId,prompt_length,"
        "negative_prompt_length,num_images_per_prompt,num_inference_steps,checkpoint_model_version_id,num_lora\n"
        "2024-11-15 16:57:50,TXT_2_IMG,SUCCEED,32.0,G0000,63.0,26.0,1.0,30.0,M0000,0\n"
        "2024-11-15 18:16:14,TXT_2_IMG,FAILED,3.0,G0001,93.0,,1.0,40.0,M0001,1\n"
        "2024-11-15 18:16:20,TXT_2_IMG,PROCESSING,,G0001,93.0,,1.0,40.0,M0001,1\n",
        "base_model_update_latency_anon.csv": "timestamp_anon,value,container_ip\n1.5,8000.0,NULL\n",
        "lora_update_latency_anon.csv": "timestamp_anon,value,container_ip\n1.5,500.0,NULL\n",
    },
    "mooncake": {
        "conversation_trace.jsonl": '{"timestamp": 0, "input_length": 6758, "output_length": 500, "hash_ids": [0, 1]}\n'
        '{"timestamp": 3000, "input_length": 7322, "output_length": 490, "hash_ids": [0, 14]}\n',
    },
    "servegen": {
        "chunk-0-trace.csv": "0,0.5,1.0,Gamma,1.0,2.0\n600,0.0,0.0,,0.0,0.0\n1200,0.25,1.2,Weibull,0.8,3.5\n",
        "chunk-0-dataset.json": json.dumps(
            {"0": {"input_tokens": "{100: 0.5, 200: 0.5}", "output_tokens": "{7: 1.0}"}, "1200": {"input_tokens": "{}"}}
        ),
    },
    "csv": {
        "log.csv": "arrival,function,duration,status,memory_mb,app\n"
        "5.5,b,0.25,200,256,web\n1.0,a,0.5,500,64,web\n6.0,b,0.125,200,300,web\n",
    },
}

FILES = ("azure2021", "mooncake", "csv")
"""Formats of one file: that is their path, not the folder."""


def write(name: str, folder: Path, changed: dict[str, bytes] | None = None, *, compress: bool = False) -> Path:
    """Write the sample of a format, some files of it changed, and return its path."""
    data = {file: text.encode() for file, text in SAMPLES[name].items()} | (changed or {})
    for file, content in data.items():
        packed = compress and not file.endswith(".json")
        path = folder / (file + ".gz" if packed else file)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(gzip.compress(content, mtime=0) if packed else content)
    return next(folder.iterdir()) if name in FILES else folder
