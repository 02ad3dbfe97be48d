-- Attaches versions, history and change feed to projects. History and feed contain project_document(row).
SELECT track_changes('projects', 'project');
