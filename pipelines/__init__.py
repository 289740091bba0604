"""Ready pipelines for GitHub Actions, GitLab CI and Azure DevOps, and the steps that all of them run."""
