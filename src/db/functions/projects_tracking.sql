-- History, feed and versions of projects; project_document(row) is what both contain.
SELECT track_changes('projects', 'project');
