"""Methods that change how operators pass relevance back."""
