"""Names that users rely on, in one place and without weight."""

from __future__ import annotations

FILE_NAME = "prodready.toml"
VARIABLE_PREFIX = "PRODREADY_"
RULE_MARK = "prodready_rule"
BENCHMARK_MARK = "readiness_benchmark"
FIXTURE_PREFIX = "prodready_"
SETTINGS_FIXTURE = "prodready_settings"  # the one fixture that starts nothing
SMALLEST_FILE = """\
[service]
name = "jobboard"
command = "uvicorn jobboard.app:app --port {port}"
env = { DATABASE_URL = "{postgres.url}" }
engine = "jobboard.db:make_engine"   # optional, Python only
"""
PLANNER_SETTINGS = frozenset(  # what may be set while statements are explained
    """
    constraint_exclusion cpu_index_tuple_cost cpu_operator_cost cpu_tuple_cost cursor_tuple_fraction
    effective_cache_size effective_io_concurrency enable_async_append enable_bitmapscan
    enable_distinct_reordering enable_gathermerge enable_group_by_reordering enable_hashagg
    enable_hashjoin enable_incremental_sort enable_indexonlyscan enable_indexscan enable_material
    enable_memoize enable_mergejoin enable_nestloop enable_partition_pruning enable_partitionwise_aggregate
    enable_partitionwise_join enable_presorted_aggregate enable_self_join_elimination enable_seqscan
    enable_sort enable_tidscan from_collapse_limit geqo geqo_effort geqo_generations geqo_pool_size
    geqo_seed geqo_selection_bias geqo_threshold hash_mem_multiplier join_collapse_limit
    maintenance_io_concurrency plan_cache_mode random_page_cost recursive_worktable_factor seq_page_cost
    temp_buffers work_mem
    """.split()  # noqa: SIM905
)
PINNED_SETTINGS = {  # while statements are explained; plans with workers vary from run to run
    "max_parallel_workers_per_gather": "0",
    "jit": "off",
}
