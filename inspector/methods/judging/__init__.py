"""How good is a map? Measures of faithfulness, robustness, sparseness and place, and agreement of methods."""
