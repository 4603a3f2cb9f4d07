"""The page client in other browsers than Chromium: one story, which ``make browsers`` runs in each."""
